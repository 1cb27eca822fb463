"""
Windows: what bounds an account, a key or a lane for a period, and the transitions that can never pass a bound.

This is the specification in pure form. The DynamoDB adapter performs the same transitions as single conditional
updates; the model tests drive both side by side.

Identities after every operation, on every window:

    budget_left + settled + Σ open.amount = budget_limit
    requests_left + accepted              = requests_limit

where `accepted` counts the requests that hold or held here and were not given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

UNLIMITED_REQUESTS = 10**12
UNLIMITED_BUDGET_NANO_USD = 10**18
"""A dimension without a limit holds the largest number, so that every transition has one shape."""

EVERY_KEY = "*"
"""In `blocked`: stops all keys of the account at once."""


@dataclass(frozen=True, slots=True)
class WindowKey:
    """What a window bounds (`owner`, such as `account:acct_…`) and for which period (such as `2026-11-23`)."""

    owner: str
    period: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds a window is opened or adjusted with."""

    requests: int = UNLIMITED_REQUESTS
    budget_nano_usd: int = UNLIMITED_BUDGET_NANO_USD
    concurrency: int = UNLIMITED_REQUESTS


@dataclass(frozen=True, slots=True)
class Hold:
    """What one reservation holds in one window."""

    amount_nano_usd: int
    expires_at_unix_s: int
    key_ref: str
    """The short id of the API key, for blocks and for people."""
    requests: int = 1
    mark: str = ""
    """Where else the reservation holds, and for whom: see `domain.binding`. Empty: in its account's window alone."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window. Counters count down: DynamoDB's conditions compare, they do not add."""

    key: WindowKey
    limits: Limits
    requests_left: int
    budget_left_nano_usd: int
    settled_nano_usd: int = 0
    exposed_nano_usd: int = 0
    """What may have been spent upstream for requests that got no answer, and was not charged."""
    open: Mapping[str, Hold] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    limits_version: int = 0
    sweep_at_unix_s: int | None = None

    @property
    def held_nano_usd(self) -> int:
        return sum(hold.amount_nano_usd for hold in self.open.values())

    @property
    def free_slots(self) -> int:
        return max(0, self.limits.concurrency - len(self.open))


class Bound(StrEnum):
    """Which bound of a window refused a hold."""

    KEY_BLOCKED = "key_blocked"
    REQUESTS_EMPTY = "requests_empty"
    BUDGET_EMPTY = "budget_empty"
    BUDGET_TOO_SMALL = "budget_too_small"
    CONCURRENCY = "concurrency"
    BUDGET_IN_FLIGHT = "budget_in_flight"


@dataclass(frozen=True, slots=True)
class Refused:
    """A hold that a window did not take, and the window as it was at that moment."""

    bound: Bound
    window: Window


def opened(key: WindowKey, limits: Limits, version: int, blocked: frozenset[str] = frozenset()) -> Window:
    """Return a fresh window with all of its limits left."""
    return Window(
        key=key,
        limits=limits,
        requests_left=limits.requests,
        budget_left_nano_usd=limits.budget_nano_usd,
        blocked=blocked,
        limits_version=version,
    )


def bound_against(window: Window, hold: Hold) -> Bound | None:
    """
    Return the bound that refuses `hold`, or None when the window would take it.

    What a hold does not take cannot refuse it: one without money passes a budget that is overdrawn. When several
    refuse, the one that helps most is named: an empty quota before an empty budget, what lasts until the reset before
    what passes in seconds.
    """
    if EVERY_KEY in window.blocked or hold.key_ref in window.blocked:
        return Bound.KEY_BLOCKED
    if 0 < hold.requests > window.requests_left:
        return Bound.REQUESTS_EMPTY
    short = 0 < hold.amount_nano_usd > window.budget_left_nano_usd
    after_settling = window.budget_left_nano_usd + window.held_nano_usd
    if short and after_settling <= 0:
        return Bound.BUDGET_EMPTY
    if short and after_settling < hold.amount_nano_usd:
        return Bound.BUDGET_TOO_SMALL
    if len(window.open) >= window.limits.concurrency:
        return Bound.CONCURRENCY
    return Bound.BUDGET_IN_FLIGHT if short else None


def reserve(window: Window, reservation_id: str, hold: Hold) -> Window | Refused:
    """Return the window with `hold` taken, or the bound that refused it."""
    assert reservation_id not in window.open, "a reservation id is used for one attempt only"
    bound = bound_against(window, hold)
    if bound is not None:
        return Refused(bound, window)
    return replace(
        window,
        requests_left=window.requests_left - hold.requests,
        budget_left_nano_usd=window.budget_left_nano_usd - hold.amount_nano_usd,
        open={**window.open, reservation_id: hold},
        sweep_at_unix_s=hold.expires_at_unix_s if window.sweep_at_unix_s is None else window.sweep_at_unix_s,
    )


def settle(
    window: Window, reservation_id: str, *, charge_nano_usd: int, give_request_back: bool, exposed_nano_usd: int = 0
) -> Window | None:
    """Return the window with the reservation ended, or None when it is not open: then it was already applied."""
    hold = window.open.get(reservation_id)
    if hold is None:
        return None
    assert 0 <= charge_nano_usd <= hold.amount_nano_usd, "a charge never exceeds its reservation"
    return replace(
        window,
        requests_left=window.requests_left + (hold.requests if give_request_back else 0),
        budget_left_nano_usd=window.budget_left_nano_usd + hold.amount_nano_usd - charge_nano_usd,
        settled_nano_usd=window.settled_nano_usd + charge_nano_usd,
        exposed_nano_usd=window.exposed_nano_usd + exposed_nano_usd,
        open={name: other for name, other in window.open.items() if name != reservation_id},
    )


def adjust(window: Window, limits: Limits, version: int, *, stopped: bool = False) -> Window:
    """
    Return the window under new limits: what is left moves by the difference, and may become negative.

    `stopped`: whether that version of the account stops all of its keys.
    """
    return replace(
        window,
        limits=limits,
        requests_left=window.requests_left + limits.requests - window.limits.requests,
        budget_left_nano_usd=window.budget_left_nano_usd + limits.budget_nano_usd - window.limits.budget_nano_usd,
        blocked=window.blocked | {EVERY_KEY} if stopped else window.blocked - {EVERY_KEY},
        limits_version=version,
    )


def unbalanced_nano_usd(window: Window) -> int:
    """Return by how much the money identity fails: 0 on every sound window."""
    accounted = window.budget_left_nano_usd + window.settled_nano_usd + window.held_nano_usd
    return window.limits.budget_nano_usd - accounted

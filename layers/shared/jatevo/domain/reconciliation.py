"""
Reconciliation: what the ledger says a window's counters must be, and by how much they are not.

The ledger decides; a window only counts what was decided and what is still held. So each counter can be computed anew
from entries alone, and a window that disagrees is wrong, whatever made it so. Of one window, from its entries without
those that are decided but still open in it:

    settled            = Σ charged_in
    exposed            = Σ exposed_in
    requests_left      = requests_limit − entries that count − open that count
    budget_left        = budget_limit − settled − Σ open.amount
    budget_limit       = Σ grants                                               of a balance only
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from jatevo.domain.binding import Kind, counts_requests, kind_of
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.windows import Window, WindowKey, unbalanced_nano_usd

_NOT_AUDITED = frozenset({Kind.MINUTE, Kind.SLOTS})
"""They hold no money, and are gone, or start anew, before anybody could look."""


class Counter(StrEnum):
    """Which counter of a window disagrees."""

    SETTLED = "settled_nano_usd"
    EXPOSED = "exposed_nano_usd"
    REQUESTS = "requests"
    BALANCE = "budget_left_nano_usd"
    GRANTED = "granted_nano_usd"
    MISSING = "missing_window"


@dataclass(frozen=True, slots=True)
class Due:
    """What ledger entries come to in one window."""

    requests: int = 0
    settled_nano_usd: int = 0
    exposed_nano_usd: int = 0

    def __add__(self, other: "Due") -> "Due":
        return Due(*(getattr(self, name) + getattr(other, name) for name in Due.__slots__))

    def __sub__(self, other: "Due") -> "Due":
        return Due(*(getattr(self, name) - getattr(other, name) for name in Due.__slots__))


@dataclass(frozen=True, slots=True)
class Difference:
    """One counter of one window that is not what the ledger makes it."""

    window: WindowKey
    counter: Counter
    expected: int
    found: int


def audited(window: WindowKey) -> bool:
    """Return whether a window's counters are held against the ledger."""
    return kind_of(window) not in _NOT_AUDITED


def due_in(entry: LedgerEntry, window: WindowKey) -> Due:
    """Return what one entry comes to in a window, once it is applied there."""
    if window not in entry.windows:
        return Due()
    counted = counts_requests(window) and not entry.gives_request_back
    return Due(int(counted), entry.charged_in(window), entry.exposed_in(window))


def dues(entries: Iterable[LedgerEntry]) -> dict[WindowKey, Due]:
    """Return what entries come to in every audited window that they name."""
    found: dict[WindowKey, Due] = {}
    for entry in entries:
        for window in filter(audited, entry.windows):
            found[window] = found.get(window, Due()) + due_in(entry, window)
    return found


def differences(
    key: WindowKey, window: Window | None, due: Due, granted_nano_usd: int | None = None
) -> list[Difference]:
    """
    Return every counter of a window that disagrees with what is due in it. `granted_nano_usd`: of a balance, the sum of
    its grants.
    """
    if window is None:
        missing = due.settled_nano_usd or due.requests
        return [Difference(key, Counter.MISSING, due.settled_nano_usd, 0)] if missing else []
    right = corrected(window, due, granted_nano_usd)
    pairs = [
        (Counter.SETTLED, right.settled_nano_usd, window.settled_nano_usd),
        (Counter.EXPOSED, right.exposed_nano_usd, window.exposed_nano_usd),
        (Counter.REQUESTS, due.requests, due.requests + right.requests_left - window.requests_left),
    ]
    if unbalanced_nano_usd(window):
        pairs.append((Counter.BALANCE, right.budget_left_nano_usd, window.budget_left_nano_usd))
    if granted_nano_usd is not None:
        pairs.append((Counter.GRANTED, granted_nano_usd, window.limits.budget_nano_usd))
    return [Difference(key, counter, expected, found) for counter, expected, found in pairs if expected != found]


def corrected(window: Window, due: Due, granted_nano_usd: int | None = None) -> Window:
    """Return the window with its counters as the ledger makes them; what is open, and its limits, stay as they are."""
    counted = due.requests + sum(hold.requests for hold in window.open.values())
    budget = window.limits.budget_nano_usd if granted_nano_usd is None else granted_nano_usd
    return replace(
        window,
        limits=replace(window.limits, budget_nano_usd=budget),
        settled_nano_usd=due.settled_nano_usd,
        exposed_nano_usd=due.exposed_nano_usd,
        requests_left=window.limits.requests - counted,
        budget_left_nano_usd=budget - due.settled_nano_usd - window.held_nano_usd,
    )


@dataclass(frozen=True, slots=True)
class Correction:
    """
    What was corrected in a window, by whom and why: an entry of the ledger that is never edited. Its id sorts by time.
    `account_id`: in whose book it stands; of a lane's window, its owner.
    """

    id: str
    account_id: str
    window: WindowKey
    before: Window
    after: Window
    reason: str
    operator: str
    at_unix_s: int

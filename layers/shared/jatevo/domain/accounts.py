"""
Accounts and API keys as the gate sees them.

`Account.version` grows with every change that open windows must learn of: limits changed, a key disabled. A window
remembers the version it was opened or adjusted with.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jatevo.domain.ids import key_ref
from jatevo.domain.projection import PERMILLE
from jatevo.domain.windows import Limits, WindowKey

DEFAULT_CONCURRENCY = 64
"""Requests of one account under way at once, unless set: the window's write cost grows only with those really open."""
MAX_KEYS_PER_ACCOUNT = 100
ESTIMATE_MEMORY_S = 7 * 86_400
"""How long an observed underestimate of an account's inputs is remembered."""
_VISITOR_LENGTH = 20
REVOCATION_MEMORY_S = 3600
"""How long a disabled key stays named in windows: far longer than any process keeps a key it has read."""


class LimitsFrom(StrEnum):
    """Who sets an account's limits."""

    OPERATOR = "operator"
    HOLDINGS = "holdings"


@dataclass(frozen=True, slots=True)
class Account:
    """A holder of limits."""

    id: str
    name: str
    limits: Limits
    enabled: bool = True
    margin_bps: int | None = None
    """None: the gateway's default margin."""
    version: int = 1
    created_at_unix_s: int = 0
    estimate_permille: int = PERMILLE
    """Observed need of input tokens against the model's estimate; fed by overruns."""
    estimate_raised_at_unix_s: int = 0
    revoked: Mapping[str, int] = field(default_factory=dict)
    """Short ids of keys disabled lately, and when: a window opened after that must know them."""
    limits_from: LimitsFrom = LimitsFrom.OPERATOR
    entitled_day: str | None = None
    """The UTC day that holdings gave `limits` for; None: no day yet, or the limits are an operator's."""
    lanes: frozenset[str] = frozenset()
    """Reserved lanes its requests may travel in, beside the shared one."""
    zdr: bool = False
    """All its requests go only to where nothing of them is kept."""
    monthly: Limits | None = None
    """Requests and dollars of a UTC month, beside those of the day; None: no such limit."""
    requests_per_minute: int | None = None
    prepaid: bool = False
    """It was ever granted a balance to spend after the day's budget: there is a window of it."""
    reseller_margin_bps: int | None = None
    """What its keys' users pay on top of what it pays itself, unless a key says otherwise; None: it resells nothing."""

    visitor_salt: str = ""
    """Of the playground's account alone: what its visitors' addresses are hashed with."""

    def estimate_at(self, now_unix_s: int) -> int:
        """Return the factor that applies now: what was observed lately, else the model's estimate as it is."""
        recent = now_unix_s - self.estimate_raised_at_unix_s < ESTIMATE_MEMORY_S
        return max(PERMILLE, self.estimate_permille) if recent else PERMILLE


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A scoped key. `digest` is the SHA-256 of the key itself, which nobody but its owner has."""

    id: str
    digest: str
    account_id: str
    name: str
    prefix: str
    enabled: bool = True
    models: frozenset[str] | None = None
    """Model ids this key may use; None: all."""
    lanes: frozenset[str] | None = None
    """Of its account's reserved lanes, those this key may use; None: all of them."""
    ip_ranges: frozenset[str] | None = None
    """The networks it may be used from, as in `domain.ip_ranges`; None: any."""
    caps: Limits | None = None
    """The key's own limits per day; None: only the account's apply."""
    caps_version: int = 1
    reseller_margin_bps: int | None = None
    """What this key's user pays on top of what the account pays; None: as the account says."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The owner's own words, such as whom the key was given to."""
    expires_at_unix_s: int | None = None
    created_at_unix_s: int = 0
    disabled_at_unix_s: int | None = None

    @property
    def ref(self) -> str:
        return key_ref(self.id)

    def expired(self, now_unix_s: int) -> bool:
        return self.expires_at_unix_s is not None and now_unix_s >= self.expires_at_unix_s


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody without a key, on the playground's account: whoever comes from a network."""

    network: str
    """As `domain.ip_ranges.source_network` has it."""
    salt: str = field(repr=False)
    limits: Limits

    def id_on(self, day: str) -> str:
        """
        Return what stands for the visitor on a UTC day, and tells nothing: a hash, salted anew each day.

        Of the day in which a request is held, not of that in which it came: else who came before midnight would be
        another visitor, with a quota of its own, than who comes after it.
        """
        return hashlib.sha256(f"{self.salt}/{day}/{self.network}".encode()).hexdigest()[:_VISITOR_LENGTH]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: a valid key and its account; on the playground, a visitor besides."""

    key: ApiKey
    account: Account
    visitor: Visitor | None = None

    @property
    def reseller_margin_bps(self) -> int | None:
        """The reseller's margin on this caller's requests; None: they are not resold."""
        own = self.key.reseller_margin_bps
        return self.account.reseller_margin_bps if own is None else own

    @property
    def lanes(self) -> frozenset[str]:
        """The reserved lanes it may use."""
        return self.account.lanes if self.key.lanes is None else self.account.lanes & self.key.lanes


def limits_on(account: Account, day: str) -> Limits | None:
    """
    Return the limits of an account's window of a day; None when the account has those of another day.

    Holdings give limits for one day: a window of another day is neither opened nor moved with them.
    """
    if account.limits_from is LimitsFrom.HOLDINGS and account.entitled_day != day:
        return None
    return account.limits


def account_window(account_id: str, day: str) -> WindowKey:
    """Return the key of an account's day window."""
    return WindowKey(owner=account_id, period=day)


def key_window(account_id: str, key_id: str, day: str) -> WindowKey:
    """Return the key of a capped key's day window."""
    return WindowKey(owner=f"{account_id}/{key_id}", period=day)


def owning_account(key: WindowKey) -> str:
    """Return the account whose ledger holds the reservations of a window."""
    return key.owner.partition("/")[0]

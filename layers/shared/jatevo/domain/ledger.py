"""
Ledger entries: how a reservation ended, decided once and never edited.

The first entry written for a reservation id is the decision; whoever comes later uses what is stored. The outcome says
what moves, the reason says why:

===========  ==============================  =============================================================
outcome      moves                           reasons
===========  ==============================  =============================================================
charged      the charge (may be 0); the      answered, client_left, upstream_broke: charged for what was
             request stays counted           produced; client_error, no_answer: normally 0
released     nothing                         upstream_refused, window_refused, reserve_unknown
expired      nothing, or the held amount     abandoned: the handler never came back
             above the exposure cap; the
             request stays counted
===========  ==============================  =============================================================

A charge is applied in the windows that held its money, and nowhere else: `charged_in` says how much where, so that
each window's `settled` is the sum of its entries.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import WindowKey


class Outcome(StrEnum):
    """What moves when a reservation ends."""

    CHARGED = "charged"
    RELEASED = "released"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why a reservation ended as it did."""

    ANSWERED = "answered"
    CLIENT_LEFT = "client_left"
    UPSTREAM_BROKE = "upstream_broke"
    CLIENT_ERROR = "client_error"
    NO_ANSWER = "no_answer"
    UPSTREAM_REFUSED = "upstream_refused"
    WINDOW_REFUSED = "window_refused"
    RESERVE_UNKNOWN = "reserve_unknown"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Figures:
    """The money of one entry, nano-USD. `charge = cost + margin`; a margin may be negative after an overrun."""

    cost_nano_usd: int = 0
    margin_nano_usd: int = 0
    charge_nano_usd: int = 0
    overrun_nano_usd: int = 0
    """What was due above the reservation: the operator's loss, never the client's."""
    exposure_nano_usd: int = 0
    """What may have been spent upstream without an answer, and was not charged."""
    reseller_margin_nano_usd: int = 0
    """What the reseller's customer pays on top of the charge: the reseller's own, outside the gateway's books."""

    @property
    def resale_nano_usd(self) -> int:
        """What the key's user pays: the charge, and a reseller's margin if there is one."""
        return self.charge_nano_usd + self.reseller_margin_nano_usd


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations of one request in milliseconds, counted from its reservation."""

    duration_ms: int = 0
    first_token_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The decision about one reservation."""

    account_id: str
    day: str
    reservation_id: str
    outcome: Outcome
    reason: Reason
    reserved_nano_usd: int
    windows: tuple[WindowKey, ...]
    key_id: str
    model: str = ""
    lane: str = ""
    price_version: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    usage_source: UsageSource = UsageSource.NONE
    figures: Figures = field(default_factory=Figures)
    timings: Timings = field(default_factory=Timings)
    decided_at_ms: int = 0
    money_in: tuple[WindowKey, ...] | None = None
    """Those of its windows that held its money; None: all of them."""

    def charged_in(self, window: WindowKey) -> int:
        """Return what is charged in a window: nothing where no money was held, a reseller's price in a key's own."""
        if window not in (self.windows if self.money_in is None else self.money_in):
            return 0
        figures = self.figures
        return figures.resale_nano_usd if kind_of(window) is Kind.KEY else figures.charge_nano_usd

    def exposed_in(self, window: WindowKey) -> int:
        """Return what adds to a window's exposure: only its account's day bounds it."""
        return self.figures.exposure_nano_usd if kind_of(window) is Kind.ACCOUNT else 0

    @property
    def gives_request_back(self) -> bool:
        return self.outcome is Outcome.RELEASED

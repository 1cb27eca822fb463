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
"""

from dataclasses import dataclass, field
from enum import StrEnum

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

    @property
    def gives_request_back(self) -> bool:
        return self.outcome is Outcome.RELEASED

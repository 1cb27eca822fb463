"""What is to be reserved, what was, and how reservations are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from jatevo.domain import ids
from jatevo.domain.accounts import Caller
from jatevo.domain.binding import Kind, Slot, kind_of
from jatevo.domain.catalogue import Model
from jatevo.domain.lanes import SHARED, Lane, margin_for
from jatevo.domain.money import resale_margin_bps
from jatevo.domain.projection import Ask, Projection
from jatevo.domain.settlement import Terms
from jatevo.domain.windows import Hold, Window, WindowKey

_BINDS_THE_CALLER = frozenset({Kind.VISITOR, Kind.KEY, Kind.MONTH, Kind.ACCOUNT})


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How reservations are made.

    `upstream_deadline_s`: no upstream is read later than this after the reservation. `grace_s`: how long after that
    settling may take before the sweeper gives the reservation up. `exposure_cap_bps`: share of the daily budget up to
    which unanswered requests of a day are not charged.
    """

    upstream_deadline_s: int = 600
    grace_s: int = 30
    margin_bps: int = 1000
    exposure_cap_bps: int = 10_000

    @property
    def longest_s(self) -> int:
        """How long a reservation can last, from its id to its expiry."""
        return self.upstream_deadline_s + self.grace_s


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is to be reserved: a caller's request for a model, as the projection sees it.

    `slots`: for each route that may serve it, best first, the place it takes in the route's pool; None where none is
    counted. The request is held in the first that is free, and begins with that route. Empty: no route has any.
    """

    caller: Caller
    model: Model
    price_version: int
    ask: Ask
    lane: Lane = Lane(SHARED)
    slots: Sequence[Slot | None] = ()

    def margin_bps(self, default_bps: int) -> int:
        """Return the gateway's margin on this request."""
        return margin_for(self.caller.account.margin_bps, self.lane, default_bps)

    def resale_margin_bps(self, default_bps: int) -> Fraction | None:
        """Return the margin on cost in the reseller's price; None: nothing is resold."""
        own = self.caller.reseller_margin_bps
        return None if own is None else resale_margin_bps(self.margin_bps(default_bps), own)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request that was accepted, and all that its settlement needs."""

    id: str
    wanted: Wanted
    projection: Projection
    terms: Terms
    holds: tuple[tuple[WindowKey, Hold], ...]
    windows: tuple[Window, ...]
    """The windows it holds in, the account's last, right after this request was accepted."""
    exposure_left_nano_usd: int
    money_in: tuple[WindowKey, ...]
    """Those of its windows that hold its money."""
    place: int = 0
    """Which of the wanted slots it holds: the route to begin with."""

    @property
    def window(self) -> Window:
        """The account's window."""
        return self.windows[-1]

    @property
    def binding_the_caller(self) -> tuple[Window, ...]:
        """Those of its windows whose counters are the caller's to see."""
        return tuple(window for window in self.windows if kind_of(window.key) in _BINDS_THE_CALLER)

    @property
    def reserved_at_ms(self) -> int:
        return ids.reserved_at_ms(self.id)

    @property
    def expires_at_unix_s(self) -> int:
        return self.holds[-1][1].expires_at_unix_s

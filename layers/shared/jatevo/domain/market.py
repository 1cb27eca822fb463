"""
The market's price: what the sources' agreement makes of it. A pure state machine.

States, told by how the last run ended and how long ago the price was last good:

                     agreement, no jump; or a jump that lasted
        ┌───────────────────────────┬─────────────────────────────┐
        ▼                           │                             │
    ┌──────┐ silence,           ┌────────┐ kept for        ┌──────────┐ kept for       ┌───────┐
    │  ok  │──disagreement,────▶│ frozen │─degraded_after─▶│ degraded │──stale_after──▶│ stale │
    └──────┘ jump, no run       └────────┘                 └──────────┘                └───────┘
        ▲                                                                                  │
        └──────────────────────────────────────────────────────────────────────────────────┘

ok        the last run found agreement, at most `gap_s` ago: the price moves with the sources
frozen    it did not, or there was no run: the last good price is kept
degraded  kept for longer than `degraded_after_s`: the same, and operators are alarmed
stale     kept for longer than `stale_after_s`, or there never was a price: nothing may be opened on it

Only an agreement moves the price. One that is a jump away from it must last: `Pending` counts the time over which each
observation was on the same side, and silence neither adds to that time nor takes from it. What is then believed is the
mildest of what was seen, the price that held all the while. So no silence, however made, keeps the machine frozen once
the sources agree again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from jatevo.domain.price_agreement import Agreement, Missing, within
from jatevo.domain.price_rules import PriceRules


class MarketState(StrEnum):
    """How far the price may be relied on."""

    OK = "ok"
    FROZEN = "frozen"
    DEGRADED = "degraded"
    STALE = "stale"

    @property
    def rank(self) -> int:
        """How bad it is: 0 is well, 3 is no price at all."""
        return list(MarketState).index(self)


class Side(StrEnum):
    """Where a jump leads. `FIRST`: there is no price to jump from."""

    RISE = "rise"
    FALL = "fall"
    FIRST = "first"


class Reason(StrEnum):
    """What a run decided, and why."""

    CONFIRMED = "confirmed"
    MOVED = "moved"
    SUSTAINED = "sustained"
    """A jump has lasted: it is the price."""
    KEPT_SILENCE = "kept_silence"
    KEPT_DISAGREEMENT = "kept_disagreement"
    KEPT_JUMP = "kept_jump"
    AWAITING_FIRST = "awaiting_first"
    """The first price must last, too."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A jump that may turn out to be real: its mildest price so far, how long it has been seen to last, when last."""

    side: Side
    price_pico_usd: int
    lasted_s: int
    seen_at_unix_s: int


@dataclass(frozen=True, slots=True)
class Market:
    """The last good price, when it was last good, and whether the last run left it so."""

    price_pico_usd: int | None = None
    good_at_unix_s: int | None = None
    settled: bool = False
    """The last run found agreement and no jump."""
    pending: Pending | None = None

    def state(self, now_unix_s: int, rules: PriceRules) -> MarketState:
        """Return how far the price may be relied on at an instant: time alone moves ok → frozen → degraded → stale."""
        if self.good_at_unix_s is None:
            return MarketState.STALE
        kept_s = now_unix_s - self.good_at_unix_s
        if kept_s > rules.stale_after_s:
            return MarketState.STALE
        if kept_s > rules.degraded_after_s:
            return MarketState.DEGRADED
        return MarketState.OK if self.settled and kept_s <= rules.gap_s else MarketState.FROZEN

    def after(self, agreed: Agreement, now_unix_s: int, rules: PriceRules) -> "tuple[Market, Reason]":
        """Return the market after a run, and why it is so."""
        if agreed.price_pico_usd is None:
            silent = agreed.missing is Missing.SILENCE
            return replace(self, settled=False), Reason.KEPT_SILENCE if silent else Reason.KEPT_DISAGREEMENT
        price = agreed.price_pico_usd
        if self.price_pico_usd is not None and within(price, self.price_pico_usd, rules.jump_bps):
            moved = Reason.CONFIRMED if price == self.price_pico_usd else Reason.MOVED
            return Market(price, now_unix_s, settled=True), moved
        pending = self._lasting(price, now_unix_s, rules)
        if pending.lasted_s >= rules.sustain_s:
            return Market(pending.price_pico_usd, now_unix_s, settled=True), Reason.SUSTAINED
        first = pending.side is Side.FIRST
        return replace(self, settled=False, pending=pending), Reason.AWAITING_FIRST if first else Reason.KEPT_JUMP

    def _lasting(self, price: int, now_unix_s: int, rules: PriceRules) -> Pending:
        """Return the jump to `price`, continued where it goes on."""
        side, old = self._side(price), self.pending
        if old is None or old.side is not side or not self._goes_on(old, price, rules):
            return Pending(side, price, 0, now_unix_s)
        since_s = now_unix_s - old.seen_at_unix_s
        mildest = max(price, old.price_pico_usd) if side is Side.FALL else min(price, old.price_pico_usd)
        return Pending(side, mildest, old.lasted_s + (since_s if since_s <= rules.gap_s else 0), now_unix_s)

    def _side(self, price: int) -> Side:
        if self.price_pico_usd is None:
            return Side.FIRST
        return Side.RISE if price > self.price_pico_usd else Side.FALL

    @staticmethod
    def _goes_on(old: Pending, price: int, rules: PriceRules) -> bool:
        """A first price has nothing to be measured by but itself; a jump is measured by what it jumped from."""
        return old.side is not Side.FIRST or within(price, old.price_pico_usd, rules.jump_bps)

"""
The oracle: which price budgets are opened on. A pure state machine over runs and operators' changes.

    in force  = the operator's rate while it lasts, else the market's price
    effective = min(in force, 24 h average of what was in force, highest effective price of the day before × (1 + rise))

Guarantees, whatever comes in whatever order: the effective price never exceeds any of the three; the highest of a UTC
day is at most `rise_bps` above the highest of the last earlier day that had one, so a gap of days does not add up;
between two decisions a quote never rises. An operator's rate overrides the sources and none of the caps. While the
market is stale and no rate is in force there is no effective price: what cannot be opened on cannot raise the cap.

Time is the decisions' own: `at_ms` of each is greater than that of the one before.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from jatevo.domain.calendar import DAY_S
from jatevo.domain.market import Market, MarketState, Reason
from jatevo.domain.price_agreement import Agreement, Witness
from jatevo.domain.price_average import Average
from jatevo.domain.price_rules import BASIS_POINTS, PriceRules


class Basis(StrEnum):
    """Whose price is in force."""

    MARKET = "market"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Rate:
    """An operator's price, for a time, with a reason."""

    price_pico_usd: int
    expires_at_unix_s: int
    reason: str
    operator: str
    set_at_unix_s: int


@dataclass(frozen=True, slots=True)
class Oracle:
    """Everything that is kept. `before` is the highest effective price of the last day before `day` that had one."""

    at_ms: int = 0
    market: Market = Market()
    rate: Rate | None = None
    in_force_pico_usd: int | None = None
    average: Average = Average()
    day: int = 0
    highest_pico_usd: int | None = None
    before_pico_usd: int | None = None
    effective_pico_usd: int | None = None
    witnesses: tuple[Witness, ...] = ()
    """The sources, as the last run found them."""

    @property
    def at_unix_s(self) -> int:
        return self.at_ms // 1000

    def rate_at(self, now_unix_s: int) -> Rate | None:
        """Return the operator's rate while it lasts."""
        return self.rate if self.rate is not None and now_unix_s < self.rate.expires_at_unix_s else None

    def ceiling_pico_usd(self, now_unix_s: int, rules: PriceRules) -> int | None:
        """Return the most that today's effective price may be; None when no day before had one."""
        before = self._rolled(now_unix_s).before_pico_usd
        return None if before is None else before * (BASIS_POINTS + rules.rise_bps) // BASIS_POINTS

    def after_run(self, agreed: Agreement, now_ms: int, rules: PriceRules) -> "tuple[Oracle, Reason]":
        """Return the oracle after a run that found this agreement, and why it is so."""
        market, reason = self.market.after(agreed, now_ms // 1000, rules)
        changed = replace(self, market=market, rate=self.rate_at(now_ms // 1000), witnesses=agreed.witnesses)
        return self._decided(changed, now_ms, rules), reason

    def with_rate(self, rate: Rate | None, now_ms: int, rules: PriceRules) -> "Oracle":
        """Return the oracle after an operator set a rate, or None to clear it."""
        return self._decided(replace(self, rate=rate), now_ms, rules)

    def _decided(self, changed: "Oracle", now_ms: int, rules: PriceRules) -> "Oracle":
        assert now_ms > self.at_ms, "a decision is later than the one before"
        now = now_ms // 1000
        rolled = changed._rolled(now)  # noqa: SLF001 - another one of these
        average = self._average_until(now)
        rate = changed.rate_at(now)
        in_force = rate.price_pico_usd if rate is not None else changed.market.price_pico_usd
        usable = rate is not None or changed.market.state(now, rules) is not MarketState.STALE
        bounds = (in_force, average.price_pico_usd(), rolled.ceiling_pico_usd(now, rules))
        effective = min(bound for bound in bounds if bound is not None) if in_force is not None and usable else None
        return replace(
            rolled,
            at_ms=now_ms,
            in_force_pico_usd=in_force if in_force is not None else self.in_force_pico_usd,
            average=average,
            highest_pico_usd=_highest(rolled.highest_pico_usd, effective),
            effective_pico_usd=effective,
        )

    def _average_until(self, now: int) -> Average:
        """
        Return the average up to now. What was in force is held until this decision; a rate only until it expired, and
        what nothing replaces is held on, so that no gap makes the average forget.
        """
        held, since = self.in_force_pico_usd, self.at_unix_s
        average = self.average
        if held is None:
            return average
        if self.rate is not None and since < self.rate.expires_at_unix_s < now:
            average = average.held(held, since, self.rate.expires_at_unix_s)
            since = self.rate.expires_at_unix_s
            held = self.market.price_pico_usd if self.market.price_pico_usd is not None else held
        return average.held(held, since, now)

    def _rolled(self, now_unix_s: int) -> "Oracle":
        """Return the oracle on the day of an instant. The day never goes back."""
        day = now_unix_s // DAY_S
        if day <= self.day:
            return self
        before = self.highest_pico_usd if self.highest_pico_usd is not None else self.before_pico_usd
        if day > self.day + 1 and self.effective_pico_usd is not None:
            before = self._carried(day - 1)
        return replace(self, day=day, highest_pico_usd=None, before_pico_usd=before)

    def _carried(self, day: int) -> int | None:
        """Return the price that a day without a decision was quoted: what was decided last, or what outlived a rate."""
        market = self.market.price_pico_usd
        if self.rate is None or self.rate_at(day * DAY_S) is not None or market is None:
            return self.effective_pico_usd
        return min(market, self.effective_pico_usd or market)


@dataclass(frozen=True, slots=True)
class Quote:
    """
    The price at an instant.

    `price_pico_usd` None: open nothing new on it, and leave open what is open. `as_of_unix_s` is when the sources last
    agreed, or when the operator set the rate. The other figures explain the price: it is the least of them.
    """

    price_pico_usd: int | None
    state: MarketState
    basis: Basis
    as_of_unix_s: int | None
    in_force_pico_usd: int | None = None
    average_pico_usd: int | None = None
    ceiling_pico_usd: int | None = None
    witnesses: tuple[Witness, ...] = ()
    """What became of each source in the last run: for operators only."""

    @property
    def held_back(self) -> bool:
        """Whether the price in force is higher than the one that counts: the average or a day's cap holds it back."""
        price, in_force = self.price_pico_usd, self.in_force_pico_usd
        return price is not None and in_force is not None and price < in_force


def quote(oracle: Oracle, now_unix_s: int, rules: PriceRules) -> Quote:
    """Return the price that holds at an instant, from what was last decided."""
    rate = oracle.rate_at(now_unix_s)
    state = MarketState.OK if rate is not None else oracle.market.state(now_unix_s, rules)
    in_force = rate.price_pico_usd if rate is not None else oracle.market.price_pico_usd
    price = None
    if state is not MarketState.STALE and oracle.effective_pico_usd is not None and in_force is not None:
        price = min(oracle.effective_pico_usd, in_force)
    return Quote(
        price_pico_usd=price,
        state=state,
        basis=Basis.MARKET if rate is None else Basis.RATE,
        as_of_unix_s=oracle.market.good_at_unix_s if rate is None else rate.set_at_unix_s,
        in_force_pico_usd=in_force,
        average_pico_usd=oracle.average.price_pico_usd(),
        ceiling_pico_usd=oracle.ceiling_pico_usd(now_unix_s, rules),
        witnesses=oracle.witnesses,
    )


def _highest(one: int | None, other: int | None) -> int | None:
    known = [price for price in (one, other) if price is not None]
    return max(known, default=None)

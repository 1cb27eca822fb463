"""
The operators' side of the oracle: what it thinks and why, and a rate of their own.

A rate always ends and always has a reason; setting or clearing one is a decision like a run's, stored with who did it
and kept for good. It overrides the sources and none of the caps, so a stolen token cannot mint a budget in a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import InvalidValue, NotThere, Refused
from jatevo.application.ports import Clock
from jatevo.application.price_updates import told_of
from jatevo.application.prices import PriceRecord, PriceStore, Told
from jatevo.domain.calendar import DAY_S
from jatevo.domain.market import MarketState
from jatevo.domain.oracle import Oracle, Quote, Rate, quote
from jatevo.domain.price_rules import PriceRules
from jatevo.domain.prices import PriceError, parse_price

LONGEST_RATE_DAYS = 31
RATE_SET, RATE_CLEARED = "rate_set", "rate_cleared"
_MOST_TRIES = 8


@dataclass(frozen=True, slots=True)
class PriceView:
    """The oracle as an operator sees it; `market_state` is what the sources alone would make of it."""

    oracle: Oracle
    quote: Quote
    market_state: MarketState


class PriceAdministration:
    """Shows the oracle and sets its rate."""

    def __init__(self, store: PriceStore, clock: Clock, rules: PriceRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def show(self) -> PriceView:
        """Return the oracle as it is now."""
        return self._view(await self._store.read())

    async def history(self, *, limit: int, before_ms: int | None = None, audit: bool = False) -> Sequence[Told]:
        """Return decisions, the latest first; with `audit` only operators'."""
        return await self._store.history(limit=limit, before_ms=before_ms, audit=audit)

    async def set_rate(self, price_usd: str, expires_at_unix_s: int, reason: str, operator: str) -> PriceView:
        """Put a rate in force. Raises InvalidValue, Refused."""
        now = self._now_s()
        try:
            price = parse_price(price_usd)
        except PriceError as error:
            raise InvalidValue(f"{error}.", param="price_usd") from error
        if not now < expires_at_unix_s <= now + LONGEST_RATE_DAYS * DAY_S:
            message = f"A rate must expire in the future, at most {LONGEST_RATE_DAYS} days from now."
            raise InvalidValue(message, param="expires_at_unix_s")
        rate = Rate(price, expires_at_unix_s, bounds.reason(reason), operator, now)
        return await self._change(rate, operator, rate.reason)

    async def clear_rate(self, reason: str, operator: str) -> PriceView:
        """Put the sources back in force. Raises NotThere when no rate is."""
        return await self._change(None, operator, bounds.reason(reason))

    async def _change(self, rate: Rate | None, operator: str, note: str) -> PriceView:
        for _ in range(_MOST_TRIES):
            before = await self._store.read()
            if rate is None and before.rate_at(self._now_s()) is None:
                raise NotThere("No rate is in force.")
            after = before.with_rate(rate, max(self._clock.now_ms(), before.at_ms + 1), self._rules)
            what = RATE_SET if rate is not None else RATE_CLEARED
            told = told_of(after, before, what, self._rules, operator=operator, note=note)
            if await self._store.add(PriceRecord(after, told), previous=before):
                return self._view(after)
        raise Refused("The price is being decided by others at this moment. Try again.")

    def _view(self, oracle: Oracle) -> PriceView:
        now = self._now_s()
        return PriceView(oracle, quote(oracle, now, self._rules), oracle.market.state(now, self._rules))

    def _now_s(self) -> int:
        return self._clock.now_ms() // 1000

"""
The token's price as it was decided, and what a bag of tokens was worth at it.

Which price a decision comes to is taken from its record, within bounds that are reckoned here: it is never above what
its operator said while that is in force, else never above what honest sources have said; and a day's best is at most a
quarter above that of the last day before that had one.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from jatevo.domain.market import Market
from jatevo.domain.oracle import Oracle, Rate
from jatevo.domain.price_agreement import Agreement
from jatevo.domain.price_rules import PriceRules
from jatevo_testing.holders import TOKEN_UNITS
from jatevo_testing.simulation.gateway.market import TokenMarket
from jatevo_testing.simulation.images import Item

DAY_S = 86_400
TOKENS = 6
FIRST_PICO_USD = 10**6
_FRESH_S = 3600
_SKEW_S = 200
"""More than any clock is off."""


def worth_nano_usd(units: int, price_pico_usd: int) -> int:
    """Return what so many units are worth, rounded down."""
    nano_usd: int = units * price_pico_usd // (TOKEN_UNITS * 1000)
    return nano_usd


def first_price(now_ms: int, *, of_market: bool) -> Item:
    """Return the record of the price that a history begins with: the market's, or an operator's for a month."""
    now_s, rules = now_ms // 1000, PriceRules()
    if of_market:
        known = Oracle(market=Market(FIRST_PICO_USD, now_s - 60, settled=True))
        oracle, _ = known.after_run(Agreement((), FIRST_PICO_USD), now_ms, rules)
    else:
        rate = Rate(FIRST_PICO_USD, now_s + 30 * DAY_S, "test", "operator", now_s)
        oracle = Oracle().with_rate(rate, now_ms, rules)
    document = json.dumps(asdict(oracle))
    return {"series": {"S": "state"}, "at": {"N": "0"}, "decided_at": {"N": str(now_ms)}, "document": {"S": document}}


class TokenPrices:
    """All decisions, as they are stored. Prices are in pico-dollars for a whole token."""

    def __init__(self) -> None:
        self.market: TokenMarket | None = None
        self._decided: list[tuple[int, int]] = []
        """Since when, in true milliseconds; no price is one of 0."""
        self._best: dict[int, int] = {}
        self._ends_unix_s = 0
        """Until when the last decision gives a price, if none follows."""

    def note(self, item: Item, now_ms: int) -> None:
        """Take note of a decision."""
        decided: dict[str, Any] = json.loads(item["document"]["S"])
        price, rate, at_unix_s = decided["effective_pico_usd"] or 0, decided["rate"], decided["at_ms"] // 1000
        if rate and at_unix_s < rate["expires_at_unix_s"]:
            assert price <= rate["price_pico_usd"], "a price is above what its operator said"
            self._ends_unix_s = rate["expires_at_unix_s"]
        else:
            said = 0 if self.market is None else self.market.most_said_pico_usd
            assert price <= said, "a price is above what any honest source has said"
            self._ends_unix_s = (decided["market"]["good_at_unix_s"] or 0) + _FRESH_S
        day = at_unix_s // DAY_S
        before = max((other for other in self._best if other < day), default=None)
        assert before is None or price * 4 <= self._best[before] * 5, "a price rises by more than a quarter in a day"
        if price:
            self._best[day] = max(price, self._best.get(day, 0))
        self._decided.append((now_ms, price))

    def now(self, now_unix_s: int) -> int | None:
        """Return the price in force; None: there is none."""
        price = self._decided[-1][1]
        return price if price and now_unix_s < self._ends_unix_s else None

    def best_pico_usd(self, day: str, since_ms: int = 0) -> int:
        """Return the best price since a time by which a day's entitlement may have been reckoned; 0: there was none."""
        began_ms = (datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() - _SKEW_S) * 1000
        began_ms = max(began_ms, since_ms)
        earlier = [price for at_ms, price in self._decided if at_ms <= began_ms][-1:]
        return max([*earlier, *(price for at_ms, price in self._decided if at_ms > began_ms)])

    def worth_nano_usd(self, day: str) -> int:
        """Return the most that the bag was worth on a day so far."""
        return worth_nano_usd(TOKENS * TOKEN_UNITS, self.best_pico_usd(day))

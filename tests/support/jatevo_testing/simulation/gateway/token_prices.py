"""
The token's price as it was decided, and what a bag of tokens was worth at it.

Which price a decision comes to is taken from its record, within bounds that are reckoned here: it is never above what
its operator said, and a day's best is at most a quarter above that of the last day before that had one.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from jatevo.domain.oracle import Oracle, Rate
from jatevo.domain.price_rules import PriceRules
from jatevo_testing.holders import TOKEN_UNITS
from jatevo_testing.simulation.images import Item

DAY_S = 86_400
TOKENS = 6
_FIRST_PICO_USD = 10**6
_SKEW_S = 200
"""More than any clock is off."""


def worth_nano_usd(units: int, price_pico_usd: int) -> int:
    """Return what so many units are worth, rounded down."""
    nano_usd: int = units * price_pico_usd // (TOKEN_UNITS * 1000)
    return nano_usd


def first_price(now_ms: int) -> Item:
    """Return the record of the price that a history begins with: a rate for a month."""
    now_s = now_ms // 1000
    rate = Rate(_FIRST_PICO_USD, now_s + 30 * DAY_S, "test", "operator", now_s)
    oracle = Oracle().with_rate(rate, now_ms, PriceRules())
    document = json.dumps(asdict(oracle))
    return {"series": {"S": "state"}, "at": {"N": "0"}, "decided_at": {"N": str(now_ms)}, "document": {"S": document}}


class TokenPrices:
    """All decisions, as they are stored. Prices are in pico-dollars for a whole token."""

    def __init__(self) -> None:
        self._decided: list[tuple[int, int]] = []
        """Since when, in true milliseconds; no price is one of 0."""
        self._best: dict[int, int] = {}
        self._ends_unix_s = 0

    def note(self, item: Item, now_ms: int) -> None:
        """Take note of a decision."""
        decided: dict[str, Any] = json.loads(item["document"]["S"])
        price, rate = decided["effective_pico_usd"] or 0, decided["rate"]
        assert price <= (rate["price_pico_usd"] if rate else 0), "a price is above what was said"
        self._ends_unix_s = rate["expires_at_unix_s"] if rate else 0
        day = decided["at_ms"] // 1000 // DAY_S
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

"""An oracle and the time it lives in."""

from dataclasses import dataclass, field

from jatevo.domain.calendar import DAY_S
from jatevo.domain.market import Reason
from jatevo.domain.oracle import Oracle, Quote, Rate, quote
from jatevo.domain.price_agreement import agreement
from jatevo.domain.price_rules import PriceRules
from jatevo.domain.prices import Failing, Heard, NoObservation, Observation

P = 10**10
"""A cent for a token."""
MINUTE = 60


def heard(*prices: int | None, at_unix_s: int) -> list[Heard]:
    """Return what sources named a, b, c say; None says nothing."""
    return [
        NoObservation(name, Failing.TIMEOUT) if price is None else Observation(name, price, at_unix_s, 900)
        for name, price in zip("abcdefgh", prices, strict=False)
    ]


@dataclass
class Timeline:
    """Runs and operators' changes one after the other; `now` in unix seconds."""

    rules: PriceRules = field(default_factory=PriceRules)
    oracle: Oracle = field(default_factory=Oracle)
    now: int = 1_795_000_000

    @property
    def day(self) -> int:
        return self.now // DAY_S

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def quote(self, later_s: int = 0) -> Quote:
        return quote(self.oracle, self.now + later_s, self.rules)

    def run(self, *prices: int | None) -> Reason:
        """Run once, now, with sources that say these prices."""
        said = heard(*prices, at_unix_s=self.now)
        agreed = agreement(said, self.oracle.market.price_pico_usd, self.now, self.rules)
        self.oracle, reason = self.oracle.after_run(agreed, self._next_ms(), self.rules)
        return reason

    def after(self, seconds: int, *prices: int | None) -> Reason:
        self.wait(seconds)
        return self.run(*prices)

    def runs(self, for_s: int, *prices: int | None, every: int = 5 * MINUTE) -> None:
        """Run by schedule for some time."""
        end = self.now + for_s
        while self.now < end:
            self.after(min(every, end - self.now), *prices)

    def set_rate(self, price: int, *, for_s: int) -> None:
        rate = Rate(price, self.now + for_s, "test", "tester", self.now)
        self.oracle = self.oracle.with_rate(rate, self._next_ms(), self.rules)

    def clear_rate(self) -> None:
        self.oracle = self.oracle.with_rate(None, self._next_ms(), self.rules)

    def _next_ms(self) -> int:
        return max(self.now * 1000, self.oracle.at_ms + 1)

"""
The time-weighted average price of 24 hours, in whole hours.

The price in force is a step function: it holds from one decision to the next, however long that takes, so silence
neither moves nor resets the average. It covers the hour under way and the 24 whole hours before it, less only where no
price was ever known. Exact: sums of price × seconds; the one division rounds down.
"""

from dataclasses import dataclass

from jatevo.domain.price_rules import HOUR_S

HOURS = 24


@dataclass(frozen=True, slots=True)
class HourSum:
    """What one hour adds: Σ price × seconds, in pico-USD × s, over the seconds a price was in force."""

    start_unix_s: int
    weighted: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Average:
    """The hours that count, oldest first."""

    hours: tuple[HourSum, ...] = ()

    def held(self, price_pico_usd: int, from_unix_s: int, to_unix_s: int) -> "Average":
        """Return the average after a price was in force from one instant to another."""
        first = _hour(to_unix_s) - HOURS * HOUR_S
        kept = {hour.start_unix_s: hour for hour in self.hours if hour.start_unix_s >= first}
        at = max(from_unix_s, first)
        while at < to_unix_s:
            start = _hour(at)
            until = min(to_unix_s, start + HOUR_S)
            before = kept.get(start, HourSum(start, 0, 0))
            kept[start] = HourSum(start, before.weighted + price_pico_usd * (until - at), before.seconds + until - at)
            at = until
        return Average(tuple(kept[start] for start in sorted(kept)))

    def price_pico_usd(self) -> int | None:
        """Return the average, rounded down; None when no price has been in force for any time."""
        seconds = sum(hour.seconds for hour in self.hours)
        return sum(hour.weighted for hour in self.hours) // seconds if seconds else None


def _hour(unix_s: int) -> int:
    return unix_s - unix_s % HOUR_S

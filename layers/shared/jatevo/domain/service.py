"""
The service as a whole: whether it takes requests, and how much a day may cost.

An operator stops it until an operator resumes it. A ceiling stops it until the day is over, or the ceiling is raised.
"""

from dataclasses import dataclass, replace

from jatevo.domain.calendar import DAY_S

CEILING = "(ceiling)"
"""Who stopped the service when no operator did: no operator can have this name."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why no requests are taken. `until_unix_s` None: until an operator resumes the service."""

    by: str
    reason: str
    since_unix_s: int
    until_unix_s: int | None = None

    def holds(self, now_unix_s: int) -> bool:
        return self.until_unix_s is None or now_unix_s < self.until_unix_s


@dataclass(frozen=True, slots=True)
class Service:
    """What is stored of it. `ceiling_nano_usd` None: that of the settings holds; 0: there is none."""

    pause: Pause | None = None
    ceiling_nano_usd: int | None = None
    version: int = 0

    def pause_at(self, now_unix_s: int) -> Pause | None:
        """Return what stops it at an instant."""
        return self.pause if self.pause is not None and self.pause.holds(now_unix_s) else None

    def judged(self, spent_nano_usd: int, default_ceiling_nano_usd: int, now_unix_s: int) -> "Service":
        """Return it as it must be when so much was spent today: stopped at the ceiling, or going on below it."""
        ceiling = self.ceiling(default_ceiling_nano_usd)
        pause = self.pause_at(now_unix_s)
        if pause is not None and pause.by != CEILING:
            return self
        if not ceiling or spent_nano_usd < ceiling:
            return replace(self, pause=None)
        midnight = (now_unix_s // DAY_S + 1) * DAY_S
        reached = Pause(CEILING, "the day's ceiling is reached", now_unix_s, midnight)
        return self if pause is not None else replace(self, pause=reached)

    def ceiling(self, default_nano_usd: int) -> int:
        """Return the ceiling that holds; 0: none."""
        return default_nano_usd if self.ceiling_nano_usd is None else self.ceiling_nano_usd


def percent_of(spent_nano_usd: int, ceiling_nano_usd: int) -> int:
    """Return what was spent in whole percent of the ceiling, rounded down, so that 100 means reached."""
    return 100 * spent_nano_usd // ceiling_nano_usd

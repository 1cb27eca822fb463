"""An event loop in which nothing happens by itself: whenever all tasks wait, it asks what is to happen next."""

import asyncio
import selectors
from collections.abc import Callable

from jatevo_testing.clocks import ManualClock


class _Asking(selectors.SelectSelector):
    """Instead of waiting for the outside, asks. `when_idle` gets the seconds to the next timer, None without one."""

    when_idle: Callable[[float | None], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.when_idle is not None and (timeout is None or timeout > 0):
            self.when_idle(timeout)
        return []


class IdleLoop(asyncio.SelectorEventLoop):
    """Timers follow the manual clock, so that no sleep takes any time."""

    def __init__(self, clock: ManualClock) -> None:
        self._manual = clock
        self._began_ms = clock.at_ms
        self._asking = _Asking()
        super().__init__(self._asking)

    def time(self) -> float:
        return (self._manual.at_ms - self._began_ms) / 1000

    def ask(self, when_idle: Callable[[float | None], None] | None) -> None:
        """Call this whenever every task waits."""
        self._asking.when_idle = when_idle

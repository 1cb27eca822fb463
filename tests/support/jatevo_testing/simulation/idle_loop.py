"""An event loop in which nothing happens by itself: whenever all tasks wait, it asks what is to happen next."""

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from jatevo_testing.clocks import ManualClock


class _Asking(selectors.SelectSelector):
    """Instead of waiting for the outside, asks. `when_idle` gets the seconds to the next timer, None without one."""

    when_idle: Callable[[float | None], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.when_idle is not None and (timeout is None or timeout > 0):
            self.when_idle(timeout)
        return []


class NumberedTask[T](asyncio.Task[T]):
    """A task that is hashed by its number, so that sets of tasks have the same order each time."""

    def __init__(self, coro: Coroutine[Any, Any, T], *, number: int, **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


class IdleLoop(asyncio.SelectorEventLoop):
    """Timers follow the manual clock, so that no sleep takes any time."""

    def __init__(self, clock: ManualClock) -> None:
        self._manual = clock
        self._began_ms = clock.at_ms
        self._asking = _Asking()
        self._numbers = itertools.count()
        super().__init__(self._asking)
        self.set_task_factory(self._numbered)

    def time(self) -> float:
        return (self._manual.at_ms - self._began_ms) / 1000

    def ask(self, when_idle: Callable[[float | None], None] | None) -> None:
        """Call this whenever every task waits."""
        self._asking.when_idle = when_idle

    def _numbered(self, loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
        return NumberedTask(coro, number=next(self._numbers), loop=loop, **more)

"""One timer for waits that follow each other: setting one for each would cost more than what is waited for."""

import asyncio
from collections.abc import Callable

_TIMERS_ARE_EARLY_S = 0.001
"""A timer may fire a hair before its time: set anew for what is left, it would fire again and again without waiting."""


class Patience:
    """
    Calls `late` when a wait has lasted too long. At most one wait at a time; made in a running event loop.

    A wait that is over in time leaves the timer where it is: when it fires, it looks at the wait that is going on then.
    """

    def __init__(self, late: Callable[[], None]) -> None:
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._since_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, patience_s: float) -> None:
        """A wait begins, which may last for so long; the same for all of them."""
        self._since_s = self._loop.time()
        if self._timer is None:
            self._watch(patience_s)

    def end(self) -> None:
        """The wait is over."""
        self._since_s = None

    def stop(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self, patience_s: float) -> None:
        waited_s = 0.0 if self._since_s is None else self._loop.time() - self._since_s
        if waited_s > patience_s - _TIMERS_ARE_EARLY_S:
            self._timer = None
            self._late()
        else:
            self._timer = self._loop.call_later(patience_s - waited_s, self._watch, patience_s)

"""Makes a process kill itself, with SIGKILL, at one step of the accounting protocol."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, Self

_ON_ITS_WAY_S = 0.002


class Moment(StrEnum):
    BEFORE = "before"
    DURING = "during"
    """The request is on its way to the store; whether it arrives is anybody's guess."""
    AFTER = "after"


@dataclass(frozen=True)
class Doom:
    """Dying at the `nth` call of `step`: a method of a port, such as `decide`."""

    moment: Moment
    step: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.moment}:{self.step}:{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Self:
        moment, step, nth = text.split(":")
        return cls(Moment(moment), step, int(nth))


class Doomed:
    """A port that works as usual until its hour has come."""

    def __init__(self, port: Any, doom: Doom) -> None:
        self._port = port
        self._doom = doom
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name != self._doom.step:
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            if self._calls < self._doom.nth:
                return await method(*args, **kwargs)
            return await _die(self._doom.moment, lambda: method(*args, **kwargs))

        return call


async def _die(moment: Moment, call: Callable[[], Awaitable[Any]]) -> NoReturn:
    if moment is Moment.AFTER:
        await call()
    elif moment is Moment.DURING:
        under_way = asyncio.ensure_future(call())
        await asyncio.wait({under_way}, timeout=_ON_ITS_WAY_S)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be survived")

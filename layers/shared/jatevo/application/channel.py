"""
A bounded pipe of bytes between the task that reads an upstream and the one that writes to the client.

The two are apart so that a client that leaves never cancels the reading and settling of its answer, and a client that
reads slowly never holds them up for long: a writer that finds no room for `patience_s` gives the reader up, and sooner
when the answer's time is over.
"""

import asyncio
import math

from jatevo.application.patience import Patience

_LEAST_PATIENCE_S = 1.0


class Channel:
    """
    One answer on its way. One writer, one reader.

    `left_s`: the time that the answer has. A writer that waits beyond it would settle when its reservation has expired.
    """

    def __init__(self, *, most_bytes: int = 256 * 1024, patience_s: float = 20.0, left_s: float = math.inf) -> None:
        self._most_bytes = most_bytes
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._over_at_s = self._loop.time() + left_s
        self._waiting = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._reading = Patience(self._wake)
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self.abandoned = asyncio.Event()
        """Set when nobody reads any more; what is written from then on is dropped."""
        self.whole = False
        """The answer came to its regular end."""

    async def write(self, data: bytes) -> None:
        """Hand bytes over, waiting for room as long as patience lasts."""
        if not data or self.abandoned.is_set():
            return
        self._waiting += data
        self._wake()
        if len(self._waiting) < self._most_bytes:
            return
        self._room.clear()
        left_s = self._over_at_s - self._loop.time()
        try:
            async with asyncio.timeout(min(self._patience_s, max(left_s, _LEAST_PATIENCE_S))):
                await self._room.wait()
        except TimeoutError:
            self.abandon()

    def close(self, *, whole: bool) -> None:
        """End the answer. Not `whole`: the client must see that it broke."""
        self.whole = whole
        self._closed = True
        self._end()

    def abandon(self) -> None:
        """Say that nobody reads any more."""
        self.abandoned.set()
        self._waiting.clear()
        self._room.set()
        self._end()

    async def read(self, timeout_s: float) -> bytes | None:
        """Return what has come, b"" when nothing came for `timeout_s`, None at the end."""
        if not self._waiting and not self._closed and not self.abandoned.is_set():
            self._reader = self._loop.create_future()
            self._reading.begin(timeout_s)
            try:
                await self._reader
            finally:
                self._reading.end()
                self._reader = None
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._room.set()
            return data
        return None if self._closed or self.abandoned.is_set() else b""

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _end(self) -> None:
        self._reading.stop()
        self._wake()

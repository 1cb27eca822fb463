"""
One request and its answer on a link.

Guarantees: the request is written once; nothing is waited for longer than the deadline, nor for `idle_s` between two
pieces while somebody waits; no more than `_MOST_UNREAD_BYTES` of an answer is held for a reader who dawdles. A link is
`reusable` only when the answer is whole, nothing followed it, and the peer keeps the connection.
"""

import asyncio
from collections import deque

import httptools

from jatevo.adapters.http1.errors import ConnectionBroke, HttpFailure, NoAnswerInTime, NothingSent
from jatevo.adapters.http1.link import Link

_MOST_UNREAD_BYTES = 256 * 1024
_MOST_FRAMING_BYTES = 64 * 1024
_BODILESS = frozenset({204, 304})


class Exchange:
    """`status` and `headers`, by their names in lower case, are there once `begin` has returned."""

    def __init__(self, link: Link, *, deadline: float, idle_s: float) -> None:
        self.link = link
        self.status = 0
        self.headers: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._idle_s = idle_s
        self._parser = httptools.HttpResponseParser(self)
        self._framing_bytes = 0  # since the last piece of the body: heads, trailers, what describes chunks
        self._has_head = False
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._most_unread = _MOST_UNREAD_BYTES
        self._reading = False
        self._whole = False
        self._kept_alive = False
        self._followed = False
        self._spent = False
        self._failure: HttpFailure | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._waiting_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, request: bytes) -> None:
        """Send the request and wait for the head of its answer. Raises HttpFailure."""
        await self._send(request)
        self._resume()
        self._watch()
        while not self._has_head:
            await self._more()

    async def read(self) -> bytes:
        """Return what has come of the body, at least a byte; nothing at its end. Raises HttpFailure."""
        while not self._pieces:
            if self._whole:
                return b""
            await self._more()
        data = self._pieces.popleft() if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._unread = 0
        if not self._reading and not self._whole:
            self._resume()
        return data

    async def read_all(self, most_bytes: int) -> bytes:
        """Return the whole body. Raises HttpFailure."""
        self._most_unread = most_bytes
        while not self._whole and self._unread <= most_bytes:
            if not self._reading:
                self._resume()
            await self._more()
        if self._unread > most_bytes:
            raise ConnectionBroke("the answer is too large")
        return b"".join(self._pieces)

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on the link."""
        return self._whole and self._kept_alive and not (self._followed or self._spent)

    def end(self) -> None:
        """Hear no further."""
        self.link.rest()
        if self._timer is not None:
            self._timer.cancel()

    async def _send(self, request: bytes) -> None:
        try:
            rest = self.link.send_some(request)
        except OSError as error:
            raise NothingSent("the connection was closed") from error
        if not rest:
            return
        try:
            async with asyncio.timeout_at(min(self._deadline, self._loop.time() + self._idle_s)):
                await self.link.send_rest(rest)
        except TimeoutError:
            raise NoAnswerInTime("the request was not taken") from None
        except OSError:
            pass  # who refuses a request half-way may have answered already
        else:
            return
        self._spent = True  # the answer, if any, is to a part of it: nothing more goes over this link

    async def _more(self) -> None:
        """Wait until something has changed. Raises HttpFailure when it is known that nothing will."""
        if self._failure is not None:
            raise self._failure
        self._waiter, self._waiting_since = self._loop.create_future(), self._loop.time()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _took(self, data: bytes | memoryview) -> None:
        """Take what has come over the link."""
        if not data:
            self._ended()
        elif self._framing_bytes > _MOST_FRAMING_BYTES:
            self._fail(ConnectionBroke("its head, or its end, is too large"))
        else:
            self._framing_bytes += len(data)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError:
                self._fail(ConnectionBroke("the answer is no HTTP"))
            except httptools.HttpParserUpgrade:
                self._fail(ConnectionBroke("the answer changes the protocol"))
        if self._unread > self._most_unread:
            self._pause()
        self._wake()

    def _ended(self) -> None:
        """The peer has closed the connection; that may be how the body ends."""
        delimited = "content-length" in self.headers or "transfer-encoding" in self.headers
        self._spent = True
        if self._has_head and not delimited:
            self.on_message_complete()
        elif not self._whole:
            self._fail(ConnectionBroke("the connection was closed"))

    def _fail(self, failure: HttpFailure) -> None:
        if self._whole:
            self._spent = True
            return
        self._failure = self._failure or failure
        self._pause()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        self._reading = True
        self.link.start_reading(self._took)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self.link.stop_reading()

    def _watch(self) -> None:
        """See to it that nobody waits too long. One timer for all pieces: setting one for each would cost more."""
        now = self._loop.time()
        waited_s = 0.0 if self._waiter is None else now - self._waiting_since
        if now >= self._deadline or waited_s >= self._idle_s:
            self._fail(NoAnswerInTime("no answer in time"))
        else:
            self._timer = self._loop.call_at(min(self._deadline, now + self._idle_s - waited_s), self._watch)

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        self._followed = self._whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # trailers are nobody's; they must not pass for what stood before the body
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._followed:
            return
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        if not self._has_head:
            self.headers.clear()  # one that only says that the answer is still to come
        elif self.status in _BODILESS:
            self.headers["content-length"] = "0"
        self._kept_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self._framing_bytes = 0
        if not self._followed:
            self._pieces.append(data)
            self._unread += len(data)

    def on_message_complete(self) -> None:
        if self._has_head and not self._whole:
            self._whole = True
            self.end()

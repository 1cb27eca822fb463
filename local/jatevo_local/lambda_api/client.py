"""The client's side of one request: whole answers, streamed ones, and those that break off."""

import asyncio

from jatevo_local.lambda_api.answers import GatewayError, Start
from jatevo_local.lambda_api.http1 import chunk, response_head, whole_response

_BODILESS = {204, 304}


class Client:
    """The client's side of one request. Writing to one that has left does nothing, and `gone` says so."""

    def __init__(self, writer: asyncio.StreamWriter, method: str) -> None:
        self._writer = writer
        self._bodiless = method == "HEAD"
        self._left: int | None = None
        self.started = False
        self.gone = False
        self.broken = False
        """The connection is of no more use."""

    def refuse(self, error: GatewayError) -> None:
        """Answer in the gateway's own name."""
        self.whole(Start(error.status, error.headers), error.body)

    def whole(self, start: Start, body: bytes) -> None:
        if self.gone:
            return
        headers = [(name, value) for name, value in start.headers if name.lower() != "content-length"]
        raw = whole_response(start.status, headers, body)
        self.started = True
        self._writer.write(raw[: len(raw) - len(body)] if self._bodiless else raw)

    def _begin(self, start: Start) -> None:
        """In chunks, or of the length that the function said."""
        self.started = True
        length = next((value for name, value in start.headers if name.lower() == "content-length"), None)
        self._bodiless = self._bodiless or start.status in _BODILESS
        self._left = int(length) if length is not None else None
        framing = [] if length is not None or self._bodiless else [("Transfer-Encoding", "chunked")]
        self._writer.write(response_head(start.status, [*start.headers, *framing]))

    async def send(self, data: bytes, start: Start) -> None:
        """Write a piece of a streamed answer; wait while the client does not read. The first is preceded by `start`."""
        if self.gone or not data:
            return
        if not self.started:
            self._begin(start)
        if self._bodiless:
            return
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        try:
            self._writer.write(chunk(data) if self._left is None else data)
            await self._writer.drain()
        except ConnectionError:
            self.gone = self.broken = True

    def end(self, start: Start) -> None:
        """End a streamed answer, with `start` if nothing has been sent."""
        if not self.started and not self.gone:
            self._begin(start)
        if self._left is None and not (self.gone or self._bodiless):
            self._writer.write(b"0\r\n\r\n")
        self.broken = self.broken or bool(self._left and not self._bodiless)

    def give_up(self, error: GatewayError) -> None:
        """Say what went wrong if nothing has been said yet; otherwise leave the transfer without its end."""
        if not (self.started or self.gone):
            self.refuse(error)
        self.gone = self.broken = True
        transport = self._writer.transport
        if transport.get_write_buffer_size():
            transport.abort()  # it does not read: what is buffered would keep the connection open
        else:
            transport.close()

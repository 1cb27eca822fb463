"""
An app's `receive` and `send` for one request.

Guarantees:

- `send` returns when the data is with the kernel, and holds nothing back: that is the back-pressure.
- Messages out of order, and a second `send` before the first has returned, are refused with a RuntimeError.
- `receive` gives the body at once, and then blocks until the response has ended: a client that leaves is invisible to
  Lambda. After that it gives `http.disconnect`, and `send` raises `Disconnected`, an OSError.
"""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from lambda_response_stream.answers import Answer, Disconnected
from lambda_response_stream.errors import ErrorReport

type Message = MutableMapping[str, Any]

_SENDS_IN_A_ROW = 16
"""After so many the event loop gets its turn; an app that only sends would starve everything else, its deadline too."""


class Exchange:
    """One request and its response."""

    def __init__(self, body: bytes, answer: Answer) -> None:
        self._body: bytes | None = body
        self._answer = answer
        self._over = asyncio.Event()
        self._started = False
        self._sends = 0
        self._sent: asyncio.Future[None] | None = None
        self.sending = False
        self.complete = False
        """The app has sent its whole response."""

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self.sending:
            raise RuntimeError(f"{kind} was sent while another send is under way; await one before the next")
        if self.complete:
            raise RuntimeError(f"{kind} was sent after the response was complete")
        if self._over.is_set():
            raise Disconnected
        if kind == "http.response.start" and not self._started:
            self._started = True
            self._answer.start(message["status"], list(message.get("headers", ())))
        elif kind == "http.response.body" and self._started:
            await self._send_body(message)
        else:
            raise RuntimeError(f"{kind} does not belong here")

    async def fail(self, error: ErrorReport) -> None:
        """End the response as failed."""
        self.disconnect()
        await self._answer.fail(error)

    def disconnect(self) -> None:
        """Tell the app that nobody listens any more."""
        self._over.set()

    async def sent(self) -> None:
        """Wait for the send under way, if there is one, to return."""
        if self.sending:
            self._sent = asyncio.get_running_loop().create_future()
            await self._sent

    async def _send_body(self, message: Message) -> None:
        more = bool(message.get("more_body", False))
        body = message.get("body", b"")
        self.sending = True
        try:
            await self._answer.write(body if type(body) is bytes else bytes(body), more=more)
        finally:
            self.sending = False
            if self._sent is not None and not self._sent.done():
                self._sent.set_result(None)
        if not more:
            self.complete = True
            self._over.set()
            await self._answer.finish()
            return
        self._sends += 1
        if self._sends % _SENDS_IN_A_ROW == 0:
            await asyncio.sleep(0)

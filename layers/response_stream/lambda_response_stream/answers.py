"""
The two ways an answer reaches Lambda: streamed as it comes, or in one piece as classic proxy JSON.

An answer is started once, written until a write without `more`, and finished. `fail` ends one that has not been written
to its end. Neither `finish` nor `fail` raises what Lambda does: there is nobody left to tell but the log.
"""

import json
import logging
from typing import Protocol

from lambda_response_stream.errors import ErrorReport, InvocationError
from lambda_response_stream.events import RawHeaders, Request
from lambda_response_stream.prelude import SEPARATOR, prelude
from lambda_response_stream.runtime_api import Invocation, RuntimeApi, error_trailers
from lambda_response_stream.wire import END, LAST_CHUNK, Connection, chunk

_log = logging.getLogger(__name__)

_PADDING = b"\n"
"""The payload of an empty body: without a byte of payload, the gateway loses the status."""


class Answer(Protocol):
    """Where an app's response goes."""

    def start(self, status: int, headers: RawHeaders) -> None:
        """Keep status and headers until the first write."""

    async def write(self, body: bytes, *, more: bool) -> None:
        """Write a piece of the body. Raises OSError when Lambda takes no more."""

    async def finish(self) -> None:
        """Hear that a whole answer has been taken."""

    async def fail(self, error: ErrorReport) -> None:
        """End the answer as failed."""


class StreamedAnswer:
    """Opens the response with the first write, so that an app that fails before it can still be reported."""

    def __init__(self, api: RuntimeApi, invocation: Invocation, request: Request) -> None:
        self._api = api
        self._invocation = invocation
        self._multi_value = request.multi_value
        self._status = 0
        self._headers: RawHeaders = []
        self._connection: Connection | None = None
        self._has_payload = False

    def start(self, status: int, headers: RawHeaders) -> None:
        self._status, self._headers = status, headers

    async def write(self, body: bytes, *, more: bool) -> None:
        before = b"" if self._connection else self._open()
        after = b"" if more else END
        if not (body or more or self._has_payload):
            body = _PADDING
        assert self._connection is not None
        if body:
            self._has_payload = True
            await self._connection.send_chunk(body, before, after)
        elif before or after:
            await self._connection.send(before + after)

    async def finish(self) -> None:
        assert self._connection is not None
        try:
            answer = await self._connection.answer()
            if answer.status // 100 != 2:
                _log.error("Lambda answered a response with %d: %r", answer.status, answer.body[:200])
        except OSError as lost:
            _log.error("Lambda left before it confirmed a response: %s", lost)
        finally:
            self._connection.close()  # as the protocol asks

    async def fail(self, error: ErrorReport) -> None:
        try:
            if self._connection is None:
                await self._api.invocation_error(self._invocation, error)
            elif self._connection.torn:
                self._connection.close()  # in the middle of a chunk: no trailer can follow
            else:
                await self._connection.send(LAST_CHUNK + error_trailers(error))
                await self.finish()
        except OSError as lost:
            _log.error("Lambda did not take the error %s: %s", error.kind, lost)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _open(self) -> bytes:
        """Connect; return what goes before the payload."""
        start = prelude(self._status, self._headers, multi_value=self._multi_value)
        self._connection, head = self._api.open_stream(self._invocation)
        return head + chunk(start) + chunk(SEPARATOR)


class BufferedAnswer:
    """Collects the response and gives it whole, for local emulators that take no streams."""

    def __init__(self, api: RuntimeApi, invocation: Invocation, request: Request) -> None:
        self._api = api
        self._invocation = invocation
        self._request = request
        self._status = 0
        self._headers: RawHeaders = []
        self._body = bytearray()

    def start(self, status: int, headers: RawHeaders) -> None:
        self._status, self._headers = status, headers

    async def write(self, body: bytes, *, more: bool) -> None:
        self._body += body
        if more:
            return
        document = self._request.classic(self._status, self._headers, bytes(self._body))
        await self._api.respond(self._invocation, json.dumps(document).encode())

    async def finish(self) -> None:
        pass

    async def fail(self, error: ErrorReport) -> None:
        try:
            await self._api.invocation_error(self._invocation, error)
        except OSError as lost:
            _log.error("Lambda did not take the error %s: %s", error.kind, lost)


class Disconnected(InvocationError, OSError):
    """The response was ended from outside; nobody takes what the app sends."""

    def __init__(self) -> None:
        super().__init__("Runtime.Disconnected", "the response has been ended")

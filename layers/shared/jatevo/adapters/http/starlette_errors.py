"""
Errors of the framework-based functions, and the id every answer carries.

`Errors` makes answers of refusals, in the shape of `jatevo.adapters.wire.errors`. `Edge` stands around all routes: it
names the request, and makes an answer of whatever a route failed with. Nothing a client sent is repeated in a text.
"""

import logging
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.application.ports import Clock, Randomness, StoreError
from jatevo.domain import ids
from jatevo.domain.refusals import Code, Refusal

_log = logging.getLogger(__name__)

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_FOUND = Refusal(Code.NOT_FOUND, "There is no such route.")
STORE_DOWN = Refusal(Code.SERVICE_UNAVAILABLE, "The gateway cannot check this request right now. Try again shortly.")
INTERNAL = Refusal(Code.INTERNAL_ERROR, "Something went wrong in the gateway. Try again.")


class Errors:
    """Makes answers of refusals."""

    def __init__(self, clock: Clock, wording: ErrorWording) -> None:
        self._clock = clock
        self._wording = wording

    def answer(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer that says why a request is not served."""
        error = wire_error(refusal, self._clock.now_ms() // 1000, self._wording)
        return Response(
            json_bytes(error.body), error.status, {**(headers or {}), **error.headers}, media_type="application/json"
        )

    def add_to(self, app: Starlette) -> None:
        """Make the framework's own errors, such as an unknown route, come out in our shape."""
        app.add_exception_handler(HTTPException, self._http_answer)

    def _http_answer(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return self.answer(NOT_FOUND)
        if error.status_code == 405:
            allowed = ", ".join(methods_of(request))
            refusal = Refusal(Code.METHOD_NOT_ALLOWED, f"This route takes {allowed} only.")
            return self.answer(refusal, {"allow": allowed})
        if error.status_code == 413:
            return self.answer(Refusal(Code.REQUEST_TOO_LARGE, "The body is too large."))
        return self.answer(Refusal(Code.INVALID_REQUEST, "The request cannot be read."))


def methods_of(request: Request) -> list[str]:
    """Return what a path takes: the framework names the methods of one route, and several may share a path."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if takes(method)]


class Edge:
    """ASGI middleware around all routes."""

    def __init__(self, app: ASGIApp, errors: Errors, clock: Clock, randomness: Randomness) -> None:
        self._app = app
        self._errors = errors
        self._clock = clock
        self._randomness = randomness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, f"req_{ids.reservation_id(self._clock.now_ms(), self._randomness.bits(64))}")
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            _log.exception("%s failed", answer.id)
            if answer.started:
                raise
            refusal = STORE_DOWN if isinstance(error, StoreError) else INTERNAL
            await self._errors.answer(refusal)(scope, receive, answer.send)


class _Answer:
    """An answer under way."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.id = request_id
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            MutableHeaders(scope=message)["x-request-id"] = self.id
        await self._send(message)

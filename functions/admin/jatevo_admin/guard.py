"""
What stands before every route: who asks, how much they send, and what becomes of a failure.

Nothing behind it, not even whether a route exists, shows to anyone but an enabled operator.
"""

import logging
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jatevo.application.administration.operators import Operators
from jatevo.application.ports import StoreError
from jatevo.domain.refusals import Code
from jatevo_admin.errors import API, error_answer, store_answer

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000


class Guard:
    """ASGI middleware; puts the operator's name into `request.state.operator`."""

    def __init__(self, app: ASGIApp, operators: Operators) -> None:
        self._app = app
        self._operators = operators

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._guarded(scope, receive, answer.send)
        except StoreError as error:
            await store_answer(error)(scope, receive, answer.send)
        except Exception:
            _log.exception("%s failed", answer.id)
            if answer.started:
                raise
            failed = error_answer(500, f"Internal error; see the log for {answer.id}.", Code.INTERNAL_ERROR, kind=API)
            await failed(scope, receive, answer.send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        operator = await self._operators.authenticate(_bearer(Headers(scope=scope)))
        if operator is None:
            message = "Send the token of an operator as 'Authorization: Bearer …'; this one is missing or not known."
            await error_answer(401, message, "invalid_admin_token")(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            message = f"The body is larger than {MAX_BODY_BYTES} bytes."
            await error_answer(413, message, Code.REQUEST_TOO_LARGE)(scope, receive, send)
            return
        scope.setdefault("state", {})["operator"] = operator.name
        await self._app(scope, _replaying(body, receive), send)


class _Answer:
    """An answer under way: its id, its status once it has started."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.id = f"req_{uuid4().hex}"
        self.status = 0

    @property
    def started(self) -> bool:
        return self.status != 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.id
            headers["cache-control"] = "no-store"
        await self._send(message)


def _bearer(headers: Headers) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _body(receive: Receive) -> bytes | None:
    """Return a request's body, or None when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read already, then whatever comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay

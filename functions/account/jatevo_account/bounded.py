"""
What a self-service request may bring: a small body, in JSON.

A browser sends JSON to another origin only after asking whether it may; a form, which it sends without asking, is
refused here.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jatevo.adapters.http.asgi import BodyTooLarge, ClientLeft, header, read_body
from jatevo.adapters.http.starlette_errors import Errors
from jatevo.domain.refusals import Code, Refusal

MAX_BODY_BYTES = 64 * 1024
PREFIX = "/account/v1/"
_TOO_LARGE = Refusal(Code.REQUEST_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES} bytes.")
_NO_JSON = Refusal(Code.INVALID_REQUEST, "Send the body as JSON, with 'content-type: application/json'.")


class Bounded:
    """ASGI middleware around the routes below PREFIX."""

    def __init__(self, app: ASGIApp, errors: Errors) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX) or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(receive, MAX_BODY_BYTES)
        except BodyTooLarge:
            await self._errors.answer(_TOO_LARGE)(scope, receive, send)
            return
        except ClientLeft:
            return
        kind = (header(scope, "content-type") or "").partition(";")[0].strip().lower()
        if body and kind != "application/json":
            await self._errors.answer(_NO_JSON)(scope, receive, send)
            return
        await self._app(scope, _replaying(body, receive), send)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read already, then whatever comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay

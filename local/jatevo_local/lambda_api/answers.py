"""
What becomes of a function's answer on its way to the client: API Gateway's own errors, its headers, both formats.

Which headers are dropped or renamed is documented at
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from jatevo_local.lambda_api.calls import BrokenStream, Reply
from jatevo_local.lambda_api.http1 import Headers
from jatevo_local.lambda_api.rest_event import MOST_EVENT_BYTES, is_binary

_REMAPPED = {
    "authorization",
    "connection",
    "content-md5",
    "date",
    "max-forwards",
    "server",
    "user-agent",
    "www-authenticate",
}
_DROPPED = {
    "expect",
    "host",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
}
_SEPARATOR = bytes(8)
_MOST_PRELUDE_BYTES = 1_000_000


class BadAnswer(Exception):
    """The function answered in a form that the gateway does not understand."""


@dataclass(frozen=True, slots=True)
class GatewayError:
    """An answer that the gateway makes up."""

    status: int
    message: str
    kind: str

    @property
    def headers(self) -> Headers:
        return [("Content-Type", "application/json"), ("x-amzn-ErrorType", self.kind)]

    @property
    def body(self) -> bytes:
        return json.dumps({"message": self.message}).encode()


BAD_REQUEST = GatewayError(400, "Bad Request", "BadRequestException")
FORBIDDEN = GatewayError(403, "Forbidden", "ForbiddenException")
NO_ROUTE = GatewayError(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
# The text is API Gateway's; that a too large event gets the same as a too large body is not documented.
TOO_LARGE = GatewayError(413, "Request Too Long", "RequestTooLargeException")
BROKEN = GatewayError(502, "Internal server error", "InternalServerErrorException")
TIMED_OUT = GatewayError(504, "Endpoint request timed out", "InternalServerErrorException")


@dataclass(frozen=True, slots=True)
class Start:
    """Status and headers of an answer."""

    status: int
    headers: Headers


def gateway_headers(headers: Headers) -> Headers:
    """Rename and drop as API Gateway does."""
    passed = [
        (f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name, value)
        for name, value in headers
        if name.lower() not in _DROPPED
    ]
    return [
        *passed,
        ("x-amz-apigw-id", "KtF82HGdliAFjxw="),
        ("x-amzn-RequestId", "990339c4-9ada-4a32-a31b-c0946876aa15"),
    ]


def whole_answer(raw: bytes, binary: tuple[str, ...], accept: str) -> tuple[Start, bytes]:
    """Read a classic answer. Raises BadAnswer, also for one larger than Lambda takes."""
    if len(raw) > MOST_EVENT_BYTES:
        raise BadAnswer("the answer is too large")
    try:
        document = json.loads(raw)
        start = _start(document)
        body = document.get("body") or ""
        # base64 is undone only where the API's binary types cover the first type that the client accepts.
        if document.get("isBase64Encoded") and is_binary(binary, accept.partition(",")[0]):
            return start, base64.b64decode(body)
        return start, str(body).encode("utf-8", "replace")
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise BadAnswer(str(error)) from error


class StreamedAnswer:
    """Takes a streamed reply apart: prelude, separator, payload."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._pieces = reply.pieces()
        self._rest = b""

    async def start(self) -> Start:
        """Read up to the payload. Raises BadAnswer, and BrokenStream when the function goes away first."""
        data = b""
        while (end := data.find(_SEPARATOR)) < 0:
            piece = await anext(self._pieces, None)
            if piece is None or len(data) > _MOST_PRELUDE_BYTES:
                raise BadAnswer("the separator is missing")
            data += piece
        self._rest = data[end + len(_SEPARATOR) :]
        try:
            return _start(json.loads(data[:end]))
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise BadAnswer(str(error)) from error

    async def payload(self) -> AsyncIterator[bytes]:
        """Yield it as it comes. Raises BrokenStream when the function fails on the way."""
        if self._rest:
            yield self._rest
        async for piece in self._pieces:
            yield piece
        if "lambda-runtime-function-error-type" in self._reply.trailers:
            raise BrokenStream(self._reply.trailers["lambda-runtime-function-error-type"])

    async def discard(self) -> None:
        """Take what is left, as the gateway does when its client has gone."""
        try:
            async for _ in self._pieces:
                pass
        except BrokenStream:
            pass


def _start(document: dict[str, Any]) -> Start:
    several = document.get("multiValueHeaders") or {}
    headers = [(name, str(value)) for name, value in (document.get("headers") or {}).items() if name not in several]
    headers += [(name, str(value)) for name, values in several.items() for value in values]
    headers += [("set-cookie", str(cookie)) for cookie in document.get("cookies") or ()]
    return Start(int(document["statusCode"]), headers)

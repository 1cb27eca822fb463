"""One invocation of a function, seen from the caller's side."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from jatevo_local.lambda_api.http1 import Body


@dataclass(frozen=True, slots=True)
class Failure:
    """The function gave an error instead of a response. `kind` is Lambda's word for it."""

    kind: str
    detail: dict[str, Any]


class BrokenStream(Exception):
    """The function went away in the middle of its response."""


class Reply:
    """A response under way. What nobody reads, the function cannot send: read it to its end, or `discard` it."""

    def __init__(self, headers: dict[str, str], body: Body) -> None:
        self.headers = headers
        self._body = body
        self.streamed = headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming"
        self.over = asyncio.Event()
        """The function has sent the last of it, or died."""

    @property
    def trailers(self) -> dict[str, str]:
        return self._body.trailers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the payload as it was chunked. Raises BrokenStream."""
        try:
            async for piece in self._body.pieces():
                yield piece
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise BrokenStream(str(error)) from error
        finally:
            self.over.set()

    async def whole(self) -> bytes:
        """Return the payload in one. Raises BrokenStream."""
        return b"".join([piece async for piece in self.pieces()])

    async def discard(self) -> None:
        """Take what is left and drop it."""
        try:
            async for _ in self._body.pieces():
                pass
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            self.over.set()


@dataclass(eq=False, slots=True)
class Call:
    """An event on its way through a function. `outcome` comes with the response's first byte."""

    event: bytes
    id: str = field(default_factory=lambda: str(uuid4()))
    trace_id: str = "Root=1-65a6825f-0123456789abcdef01234567;Sampled=0"
    outcome: "asyncio.Future[Reply | Failure]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, outcome: Reply | Failure) -> None:
        """Give the outcome; the first one counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def failure_of(kind: str, raw: bytes) -> Failure:
    """Read an error that a function reported."""
    try:
        detail = json.loads(raw)
    except ValueError:
        detail = {"errorMessage": raw.decode("utf-8", "replace")}
    return Failure(kind or str(detail.get("errorType", "Unknown")), detail)

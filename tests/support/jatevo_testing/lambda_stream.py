"""What the tests of the streaming loop share: events, and replies taken apart."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from jatevo_local.lambda_api import Api, LambdaFunction
from jatevo_local.lambda_api.calls import Failure, Reply
from jatevo_local.lambda_api.http1 import Head
from jatevo_local.lambda_api.rest_event import Match, rest_event


def event_of(
    path: str, body: bytes = b"", *, api: Api | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The REST event of a POST."""
    head = Head("POST", f"/prod{path}", list((headers or {}).items()))
    return rest_event(api or Api(), Match("/{proxy+}", path.partition("?")[0], {}), head, body, "192.0.2.1")


async def taken_apart(reply: Reply | Failure) -> tuple[dict[str, Any], list[bytes]]:
    """A streamed reply's prelude and the pieces of its payload, after a look at the form it came in."""
    assert isinstance(reply, Reply), reply
    assert reply.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert reply.headers["trailer"] == "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    prelude, separator, *payload = [piece async for piece in reply.pieces()]
    assert separator == bytes(8)
    return json.loads(prelude), payload


async def answer_of(
    function: LambdaFunction, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Any:
    """The JSON that the app answers with."""
    _, payload = await taken_apart(await function.invoke(event_of(path, body, headers=headers)))
    return json.loads(b"".join(payload))


async def until(holds: Callable[[], bool], within_s: float = 5) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)

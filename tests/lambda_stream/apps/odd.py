"""Apps of the wrong kind, and lifespans that end badly or are not there."""

from collections.abc import Awaitable, Callable
from typing import Any

type Scope = dict[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

number = 7


def factory_of_nothing() -> None:
    return None


def takes_two(one: object, two: object) -> None:
    return None


async def app_without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "knows http only"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"state" if "state" in scope else b"no state"})


async def app_that_cannot_start(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(
        {"type": "lifespan.startup.failed", "message": "Traceback:\n  File x\nStoreError: the table is missing\n"}
    )


class App:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await app_without_lifespan(scope, receive, send)

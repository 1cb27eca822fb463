"""Event streams of an upstream, piece by piece, and ways to end them."""

import asyncio
import json
from typing import Any

from jatevo_testing.upstream import Asked, Connection, Script, chunk

_LONGER_THAN_ANY_DEADLINE_S = 30


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


HELLO, WORLD = event(chunk("hello ")), event(chunk("world"))
FINISH, DONE = event(chunk(None, finish="stop")), b"data: [DONE]\n\n"


def sending(*pieces: bytes, then: str = "end") -> Script:
    """Begin a stream, send each piece by itself, then `end` it in order, `hang_up` or `stall`."""

    async def script(_: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        for piece in pieces:
            await connection.event(piece)
        if then == "stall":
            await asyncio.sleep(_LONGER_THAN_ANY_DEADLINE_S)
        elif then == "hang_up":
            await connection.hang_up()
        else:
            await connection.end_stream()

    return script

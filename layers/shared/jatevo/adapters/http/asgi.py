"""
Small helpers for bare ASGI apps: a bounded body, a JSON answer, headers as text.

The inference function is bare ASGI: it needs no router, and a framework's import would cost it a third of its start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Self

from jatevo.application.patience import Patience

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_DRAINED_BODIES = 4
"""How many times the allowed size is read and dropped, so that a client gets to see why its body was refused."""


BODY_PATIENCE_S = 60.0
"""How long a client may take to send its body."""
READ_PATIENCE_S = 30.0
"""How long a client may leave a piece of its answer unread."""
_PIECE_BYTES = 64 * 1024


class BodyTooLarge(Exception):
    """The body is larger than allowed."""


class ClientLeft(Exception):
    """The client left, or does as if it had: it neither sends its body nor reads its answer."""


def header(scope: Scope, name: str) -> str | None:
    """Return the value of a request header, the first of several."""
    wanted = name.encode("ascii")
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value.decode("latin-1"))
    return None


def bearer_token(scope: Scope) -> str | None:
    """Return the token of `Authorization: Bearer …`, None without one."""
    kind, _, token = (header(scope, "authorization") or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def source_ip(scope: Scope) -> str | None:
    """
    Return where a request came from, as the gateway saw it: API Gateway's `sourceIp`, on one machine the peer.

    Never a forwarded header, which a client may fill in as it likes.
    """
    client = scope.get("client")
    return str(client[0]) if client and client[0] else None


async def read_body(receive: Receive, most_bytes: int) -> bytes:
    """Return the whole body. Raises BodyTooLarge, having read on for a while, and ClientLeft."""
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            return await _body(receive, most_bytes)
    except TimeoutError:
        raise ClientLeft from None


async def _body(receive: Receive, most_bytes: int) -> bytes:
    body = bytearray()
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= most_bytes:
            body += chunk
        if not message.get("more_body", False) or size > most_bytes * _DRAINED_BODIES:
            break
    if size > most_bytes:
        raise BodyTooLarge
    return bytes(body)


async def until_disconnect(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send status and headers."""
    raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def respond(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Send a whole answer."""
    await start(send, status, {**headers, "content-type": "application/json", "content-length": str(len(body))})
    for begin in range(0, max(1, len(body)), _PIECE_BYTES):
        end = begin + _PIECE_BYTES
        await send_patiently(send, body[begin:end], more=end < len(body))


async def send_patiently(send: Send, data: bytes, *, more: bool) -> None:
    """Send a piece of an answer. Raises ClientLeft when nobody takes it for a while."""
    try:
        async with asyncio.timeout(READ_PATIENCE_S):
            await send({"type": "http.response.body", "body": data, "more_body": more})
    except TimeoutError:
        raise ClientLeft from None


class PatientSender:
    """
    Sends an answer piece by piece and calls `give_up`, which has to end the sending, when nobody takes one for a while.

    Used as a context.
    """

    def __init__(self, send: Send, give_up: Callable[[], None]) -> None:
        self._send = send
        self._sending = Patience(give_up)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sending.stop()

    async def send(self, data: bytes, *, more: bool) -> None:
        """Send a piece."""
        self._sending.begin(READ_PATIENCE_S)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._sending.end()

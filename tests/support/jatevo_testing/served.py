"""A gateway's app behind a real HTTP server on loopback, and what a client sees of a streamed answer from it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from jatevo.adapters.http.asgi import AsgiApp


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the test run."""
        yield


@asynccontextmanager
async def served(app: AsgiApp) -> AsyncIterator[str]:
    """Serve `app` in this event loop and yield its base URL."""
    listening = socket.create_server(("127.0.0.1", 0))  # listens from here on: nobody needs to wait for the server
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=2)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Seen:
    """What a client got: `broken` when the transfer ended without its regular end."""

    status: int
    headers: httpx.Headers
    body: bytes = b""
    broken: bool = False
    frames: list[str] = field(default_factory=list)

    @property
    def everything(self) -> bytes:
        return self.body + b"".join(name + b": " + value + b"\n" for name, value in self.headers.raw)

    @property
    def events(self) -> list[Any]:
        """The JSON of all `data:` frames but the end marker."""
        return [json.loads(frame) for frame in self.frames if frame != "[DONE]"]

    @property
    def whole(self) -> dict[str, Any]:
        """The answer that came in one piece."""
        answer: dict[str, Any] = json.loads(self.body)
        return answer

    @property
    def done(self) -> bool:
        return "[DONE]" in self.frames

    @property
    def error(self) -> dict[str, Any]:
        """The error, whether it came as a status or as the last event."""
        last = json.loads(self.body) if self.status != 200 else self.events[-1]
        found: dict[str, Any] = last["error"]
        return found

    @property
    def text(self) -> str:
        """The content of all choices together."""
        deltas = [choice["delta"] for event in self.events for choice in event.get("choices", ())]
        return "".join(delta.get("content") or "" for delta in deltas)


def chat(**body: Any) -> dict[str, Any]:
    """Return the body of a chat request."""
    return {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], **body}


def chat_stream(
    client: httpx.AsyncClient, headers: dict[str, str], **body: Any
) -> AbstractAsyncContextManager[httpx.Response]:
    """Begin a streamed chat; the context ends the connection."""
    return client.stream("POST", "/v1/chat/completions", json=chat(**{"stream": True} | body), headers=headers)


async def seen_by(client: httpx.AsyncClient, headers: dict[str, str], **body: Any) -> Seen:
    """Send a chat request and read its answer to the end, however it ends."""
    return await seen_to_the_end(chat_stream(client, headers, **{"stream": False} | body))


async def seen_to_the_end(asked: AbstractAsyncContextManager[httpx.Response]) -> Seen:
    """Send a request and read its answer to the end, however it ends."""
    async with asked as answer:
        seen = Seen(answer.status_code, answer.headers)
        try:
            async for data in answer.aiter_bytes():
                seen.body += data
        except httpx.RemoteProtocolError:
            seen.broken = True
    frames = seen.body.decode().split("\n\n")
    seen.frames = [frame.removeprefix("data: ") for frame in frames if frame.startswith("data: ")]
    return seen

"""
A scripted upstream: a raw HTTP server on loopback that does exactly what a test tells it to, honest or not.

A script is an async function of the request and the connection; it may answer, lie, stall or hang up. Run as a
program (`python -m jatevo_testing.upstream PORT`) it answers every chat request with the longest answer its cap
allows, which makes each charge equal to what was projected for the output.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

type Script = Callable[["Asked", "Connection"], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def cap(self) -> int:
        return int(self.body.get("max_tokens") or self.body.get("max_completion_tokens") or 0)


class Connection:
    """The answering side of one request."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        await self.raw(
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{more}"
            f"content-length: {len(payload)}\r\nconnection: close\r\n\r\n".encode()
            + payload
        )

    async def begin_stream(self) -> None:
        """Send the head of an event stream that ends with the connection."""
        headers = "connection: close\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"
        await self.raw(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\n".encode())

    async def event(self, data: Any) -> None:
        payload = data if isinstance(data, bytes) else b"data: " + json.dumps(data).encode() + b"\n\n"
        await self.raw(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")

    async def end_stream(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def hang_up(self) -> None:
        self._writer.transport.abort()

    @property
    def closed(self) -> bool:
        return self._writer.transport.is_closing()


def usage(prompt: int, completion: int, **details: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **details}


def completion(text: str, counted: dict[str, Any] | None) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer: dict[str, Any] = {
        "id": "upstream-id",
        "object": "chat.completion",
        "created": 1,
        "model": "secret-upstream-model",
        "system_fingerprint": "secret-build",
        "choices": [choice],
        "timings": {"secret": 1},
    }
    if counted is not None:
        answer["usage"] = counted
    return answer


def chunk(text: str | None, *, finish: str | None = None, counted: dict[str, Any] | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    value: dict[str, Any] = {
        "id": "upstream-id",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "secret-upstream-model",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return value if counted is None else {**value, "choices": [], "usage": counted}


@dataclass
class Held:
    """A script that answers as `then` does, once `go_on` is set; `asked` is set when a request has come."""

    then: Script
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, asked: Asked, connection: Connection) -> None:
        self.asked.set()
        await self.go_on.wait()
        await self.then(asked, connection)


def answering(text: str, counted: dict[str, Any] | None) -> Script:
    """Answer every request with `text` and this usage, streamed or not as asked."""

    async def script(asked: Asked, connection: Connection) -> None:
        if not asked.body.get("stream"):
            await connection.reply(200, completion(text, counted))
            return
        await connection.begin_stream()
        for word in text.split(" "):
            await connection.event(chunk(word + " "))
        await connection.event(chunk(None, finish="stop"))
        if counted is not None:
            await connection.event(chunk(None, counted=counted))
        await connection.event(b"data: [DONE]\n\n")
        await connection.end_stream()

    return script


async def to_the_cap(asked: Asked, connection: Connection) -> None:
    """Use one input token and every output token the cap allows."""
    await answering("x", usage(1, asked.cap))(asked, connection)


@dataclass
class ScriptedUpstream:
    """The server. `script` may be replaced while it runs; `asked` remembers what came."""

    script: Script = to_the_cap
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def was_asked(self) -> bool:
        """Return whether a request has come."""
        return bool(self.asked)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            self._server.close_clients()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._remember(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            raw = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(head[0].split(" ")[1], headers, json.loads(raw) if raw else {})
            self.asked.append(asked)
            await self.script(asked, Connection(writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _remember(self, task: asyncio.Task[Any] | None) -> None:
        """Keep what a script may be stalling in, to end it with the server."""
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)


async def main() -> None:
    async with ScriptedUpstream(port=int(sys.argv[1])):
        print("ready", flush=True)  # noqa: T201 - tells its parent
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

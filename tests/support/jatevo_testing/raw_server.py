"""A server that says, byte for byte, what a test tells it to say, and remembers what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

type Says = Callable[["RawServer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """`asked`: the requests as they came, heads and bodies; `connections`: how many were made."""

    says: Says
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def take(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request. Raises IncompleteReadError when there is none."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        request = head + await reader.readexactly(int(length or 0))
        self.asked.append(request)
        return request


def answer(body: bytes, status: int = 200, *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status} X\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def saying(*answers: bytes) -> Says:
    """Answer each request with the next of `answers`, the last one again and again, and keep connections."""
    left = list(answers)

    async def says(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.take(reader)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return says


@asynccontextmanager
async def raw_server(says: Says, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve on loopback."""
    told = RawServer(says)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        told.connections += 1
        try:
            await told.says(told, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", ssl=tls)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

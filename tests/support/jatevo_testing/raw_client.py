"""A client that is nothing but a socket: it may leave in any way, or never read."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from jatevo_testing.served import chat
from jatevo_testing.world import Customer


class RawClient:
    """One connection to the gateway, with nothing between the test and its bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def post(self, customer: Customer, **body: object) -> None:
        raw = json.dumps(chat(**body)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {customer.secret}\r\n"
        self._writer.write(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        await self._writer.drain()

    def close(self) -> None:
        """Say goodbye in order."""
        self._writer.close()

    def vanish(self) -> None:
        """Reset the connection, as a process that dies does."""
        self._writer.transport.abort()


@asynccontextmanager
async def raw_client(base_url: httpx.URL, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """Connect to a gateway. A small `receive_buffer` (bytes) makes a client that does not read felt soon."""
    plain = socket.socket()
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.settimeout(0)
    await asyncio.get_running_loop().sock_connect(plain, (base_url.host, base_url.port))
    reader, writer = await asyncio.open_connection(sock=plain)
    client = RawClient(reader, writer)
    yield client
    client.vanish()

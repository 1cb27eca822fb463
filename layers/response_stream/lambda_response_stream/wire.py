"""
As much HTTP/1.1 as the Runtime API takes: one request to a connection, and its answer.

Written over the bare socket, so that a chunk costs one copy and one system call, and nothing is buffered in this
process: a `send` returns when the kernel has taken the data, which is the whole of the back-pressure.
"""

import asyncio
import socket
from typing import NamedTuple

_CRLF = b"\r\n"
_COPY_UP_TO = 65_536
_READ = 65_536
_MOST_HEAD_BYTES = 65_536

LAST_CHUNK = b"0\r\n"
"""Trailers, if any, and an empty line follow."""
END = LAST_CHUNK + _CRLF


class ProtocolError(ConnectionError):
    """The other side said something that is no HTTP, or left in the middle of it."""


class Answer(NamedTuple):
    """Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def chunk(data: bytes) -> bytes:
    """Frame one chunk of a chunked body. An empty one would end the body: there must be data."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def request_head(method: str, path: str, host: str, headers: dict[str, str]) -> bytes:
    """Names and values are ours or Lambda's own, and hold no line breaks."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Connection:
    """
    One connection. A `send` that was interrupted leaves a request in pieces: `torn` says so, and nothing but closing
    the connection is right then.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._loop = asyncio.get_running_loop()
        # The other side listens on this machine: connecting takes microseconds, and needs no event loop.
        self._socket = socket.create_connection((host.strip("[]"), int(port or 80)))
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's signature
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = bytearray()
        self.torn = False

    async def send(self, data: bytes) -> None:
        self.torn = True
        await self._loop.sock_sendall(self._socket, data)
        self.torn = False

    async def send_chunk(self, data: bytes, before: bytes = b"", after: bytes = b"") -> None:
        """Send one chunk, and with it what goes before and after."""
        if len(data) <= _COPY_UP_TO:
            await self.send(before + chunk(data) + after)
            return
        await self.send(b"%b%x\r\n" % (before, len(data)))
        self.torn = True
        await self.send(data)
        self.torn = True
        await self.send(b"\r\n" + after)

    async def answer(self) -> Answer:
        """Read the answer. Raises ProtocolError."""
        status_line, *lines = (await self._head()).split("\r\n")
        _, _, rest = status_line.partition(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if not rest[:3].isdigit():
            raise ProtocolError(f"not an HTTP answer: {status_line[:80]!r}")
        return Answer(int(rest[:3]), headers, await self._body(headers))

    def close(self) -> None:
        """Close it, also under a `send` that waits: the event loop must not take the next connection for this one."""
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)
            self._socket.close()

    async def _head(self) -> str:
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            if len(self._unread) > _MOST_HEAD_BYTES:
                raise ProtocolError("the head of the answer does not end")
            await self._read_more()
        head = self._unread[:end].decode("latin-1")
        del self._unread[: end + 4]
        return head

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunked_body()
        if "content-length" in headers:
            return await self._exactly(_number(headers["content-length"], 10))
        return b""

    async def _chunked_body(self) -> bytes:
        body = bytearray()
        while size := _number((await self._line()).partition(b";")[0].decode("latin-1"), 16):
            body += await self._exactly(size)
            await self._line()
        while await self._line():
            pass  # trailers
        return bytes(body)

    async def _line(self) -> bytes:
        while (end := self._unread.find(_CRLF)) < 0:
            await self._read_more()
        line = bytes(self._unread[:end])
        del self._unread[: end + 2]
        return line

    async def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            await self._read_more()
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    async def _read_more(self) -> None:
        data = await self._loop.sock_recv(self._socket, _READ)
        if not data:
            raise ProtocolError("the connection was closed in the middle of an answer")
        self._unread += data


def _number(text: str, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        raise ProtocolError(f"not a length: {text[:80]!r}")
    return number

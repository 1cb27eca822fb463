"""
As much of an HTTP/1.1 server as the two servers here need: heads, bodies that arrive in pieces, trailers, chunks.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from http import HTTPStatus

type Headers = list[tuple[str, str]]

_PIECE = 65_536
_DRAINED_BODIES = 4


class BadRequest(Exception):
    """What came is no HTTP."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of a request. Names of headers are as they came."""

    method: str
    target: str
    headers: Headers

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Return the head of the next request, None when the connection is at its end."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadRequest("the head of the request is cut off") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest("the head of the request is too long") from error
    first, *lines = raw.decode("latin-1").strip().split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not all(parts):
        raise BadRequest(f"not a request: {first[:80]}")
    return Head(parts[0], parts[1], [_header(line) for line in lines])


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise BadRequest(f"not a header: {line[:80]}")
    return name.strip(), value.strip()


class Body:
    """
    The body of a request, read when asked for: a sender meets back-pressure. `trailers` are there once it is read.
    """

    def __init__(self, reader: asyncio.StreamReader, head: Head) -> None:
        self._reader = reader
        self._chunked = "chunked" in head.get("transfer-encoding").lower()
        self._length = int(head.get("content-length", "0") or "0")
        self.trailers: dict[str, str] = {}

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield a chunked body's chunks as they were sent, another's data as it comes. Raises IncompleteReadError."""
        if not self._chunked:
            while self._length > 0:
                data = await self._reader.readexactly(min(_PIECE, self._length))
                self._length -= len(data)
                yield data
            return
        while size := int((await self._line()).partition(";")[0], 16):
            yield await self._reader.readexactly(size)
            await self._line()
        while line := await self._line():
            name, _, value = line.partition(":")
            self.trailers[name.strip().lower()] = value.strip()

    async def whole(self, most_bytes: int) -> bytes | None:
        """
        Return it all, None when it is larger than `most_bytes`: then it is read on for a while, so that its sender gets
        to see an answer.
        """
        data = bytearray()
        size = 0
        async for piece in self.pieces():
            size += len(piece)
            if size > most_bytes * _DRAINED_BODIES:
                break
            if size <= most_bytes:
                data += piece
        return bytes(data) if size <= most_bytes else None

    async def _line(self) -> str:
        line = await self._reader.readuntil(b"\r\n")
        return line[:-2].decode("latin-1")


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def whole_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    return response_head(status, [*headers, ("Content-Length", str(len(body)))]) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

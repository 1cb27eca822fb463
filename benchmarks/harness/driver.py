"""
The driver: sends chat completions over kept-alive connections, and notes when what came.

It looks at no more of an answer than it takes to time it, so that it stays out of the way of what is measured: events
of a stream are counted by their `data: `, and the end of an answer is found by its framing.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_EVENT = b"data: "
_CHUNKED_END = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `concurrency` clients at once, each one request after the other."""

    stream: bool
    concurrency: int = 1
    prompt_bytes: int = 1000
    tokens: int = 32

    def body(self, model: str) -> bytes:
        asked = {
            "model": model,
            "max_tokens": self.tokens,
            "stream": self.stream,
            "messages": [{"role": "user", "content": "word " * (self.prompt_bytes // 5)}],
        }
        return json.dumps(asked).encode()


@dataclass(slots=True)
class Seen:
    """Seconds: of each answer from its request to its first event and to its end, and between events that follow."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)


class BadAnswer(Exception):
    """What is measured did not do its work."""


async def drive(url: str, headers: Mapping[str, str], model: str, load: Load, seconds: float) -> Seen:
    """
    Send `load` to a chat completions address: at least one request per client, no new one after `seconds`.

    Raises BadAnswer.
    """
    seen, until = Seen(), time.perf_counter() + seconds
    request = _request(url, headers, load.body(model))
    address = urlsplit(url)

    async def client() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            while True:
                await _one(reader, writer, request, load, seen)
                if time.perf_counter() > until:
                    return
        finally:
            writer.close()

    async with asyncio.TaskGroup() as clients:
        for _ in range(load.concurrency):
            clients.create_task(client())
    return seen


def _request(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    address = urlsplit(url)
    lines = [f"POST {address.path} HTTP/1.1", f"host: {address.netloc}", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, load: Load, seen: Seen
) -> None:
    began = time.perf_counter()
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise BadAnswer(f"{head.decode()}{(await reader.read(2000)).decode()}")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length)) if length else await _chunks(reader, began, seen)
    if load.stream and body.count(_EVENT) < load.tokens:
        raise BadAnswer(f"a stream of {body.count(_EVENT)} events: {body[-500:]!r}")
    if not load.stream:
        seen.first_s.append(time.perf_counter() - began)
    seen.whole_s.append(time.perf_counter() - began)


async def _chunks(reader: asyncio.StreamReader, began: float, seen: Seen) -> bytes:
    """Return a chunked body, framing and all; note when its events came."""
    body, last = bytearray(b"\r\n"), None
    while not body.endswith(_CHUNKED_END):
        data = await reader.read(65536)
        if not data:
            raise BadAnswer(f"the answer broke off: {bytes(body[-500:])!r}")
        now = time.perf_counter()
        body += data
        for _ in range(data.count(_EVENT)):
            if last is None:
                seen.first_s.append(now - began)
            else:
                seen.gaps_s.append(now - last)
            last = now
    return bytes(body)

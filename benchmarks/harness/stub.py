"""
An upstream whose timing is known: a chat completion in one piece after `FIRST_S`; streamed, its first token then and
each further one `BETWEEN_S` later. It answers with as many tokens as `max_tokens` says, and reports usage.

    python benchmarks/harness/stub.py PORT

Tokens leave on a schedule that is fixed when the request has come, so that a late one delays none after it.
"""

import asyncio
import json
import sys
from typing import Any

FIRST_S = 0.020
BETWEEN_S = 0.010
_WORD = " token"
_END_OF_HEAD = b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One kept-alive connection; requests come one at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        begin = end + len(_END_OF_HEAD)
        if len(self._buffer) >= begin + length:
            body = bytes(self._buffer[begin : begin + length])
            self._buffer.clear()
            self._answer(json.loads(body) if body else {})

    def _answer(self, asked: dict[str, Any]) -> None:
        at, tokens = (
            self._loop.time() + FIRST_S,
            int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 1),
        )
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        if not asked.get("stream"):
            self._loop.call_at(at, self._write, _whole(tokens, usage))
            return
        token = _piece(_event([{"index": 0, "delta": {"content": _WORD}, "finish_reason": None}]))
        self._loop.call_at(at, self._write, _STREAM_HEAD + token)
        for number in range(1, tokens):
            self._loop.call_at(at + number * BETWEEN_S, self._write, token)
        finish = _event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        ending = finish + _event([], usage=usage) + b"data: [DONE]\n\n"
        self._loop.call_at(at + tokens * BETWEEN_S, self._write, _piece(ending) + b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        self._transport.write(data)


_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_SAME: dict[str, Any] = {"id": "chatcmpl-stub", "created": 1, "model": "stub"}


def _whole(tokens: int, usage: dict[str, int]) -> bytes:
    message = {"role": "assistant", "content": _WORD * tokens}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = json.dumps({**_SAME, "object": "chat.completion", "choices": choices, "usage": usage}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _event(choices: list[Any], **more: Any) -> bytes:
    value = {**_SAME, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

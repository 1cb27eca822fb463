"""
The `Upstream` port over our own HTTP/1.1 client.

Guarantees: nothing is read later than the call's deadline; errors say whether the body may have been sent; redirects
are not followed; credentials come from outside and appear in no error text.
"""

import asyncio
import json
import logging
import math
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Self

from jatevo.adapters.http1.address import Address, address_of
from jatevo.adapters.http1.errors import ConnectionBroke, HttpFailure, NoAnswerInTime, NothingSent
from jatevo.adapters.http1.exchange import Exchange
from jatevo.adapters.http1.pool import Pool
from jatevo.adapters.secrets import SecretUnavailable
from jatevo.application.ports import (
    Clock,
    UpstreamAnswer,
    UpstreamBroken,
    UpstreamCall,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_log = logging.getLogger(__name__)

_CONNECT_S = 5.0
_TOKENIZE_S = 3.0
_MOST_CONNECTIONS = 1000
_MOST_KEPT = 100
_KEEP_IDLE_S = 4
"""Below the five seconds after which common servers hang up: a request on a connection just closed may be billed."""
_MOST_COUNTED_BYTES = 32 * 1024 * 1024
_SENDABLE = re.compile(r"[!-~]+", re.ASCII)
_ALWAYS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "jatevo-gateway",
}
_MOST_UNPACKED_BYTES = 256 * 1024
"""In one piece: a thousandth of it may be all that came."""
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})

type SecretLookup = Callable[[str], str | None]
"""Returns the secret that a pool's `api_key` reference names. Raises SecretUnavailable."""


class HttpUpstream:
    """Sends calls to pools. `idle_s`: the longest silence that is waited for between two reads."""

    def __init__(self, clock: Clock, secret: SecretLookup, *, idle_s: float = 120.0) -> None:
        self._clock = clock
        self._secret = secret
        self._idle_s = idle_s
        self._pool = Pool(connect_s=_CONNECT_S, most=_MOST_CONNECTIONS, keep=_MOST_KEPT, keep_s=_KEEP_IDLE_S)

    @asynccontextmanager
    async def open(self, call: UpstreamCall) -> AsyncIterator[UpstreamAnswer]:
        """Send a call and yield its answer; leaving the context hangs up."""
        left_s = max(0.0, (call.deadline_unix_ms - self._clock.now_ms()) / 1000)
        address = _address(call.pool.base_url, call.path)
        request = _request(address, self._headers(call), _json(call.body))
        deadline = asyncio.get_running_loop().time() + left_s
        try:
            async with self._pool.exchange(address.origin, request, deadline=deadline, idle_s=self._idle_s) as exchange:
                yield UpstreamAnswer(
                    status=exchange.status,
                    content_type=exchange.headers.get("content-type", ""),
                    retry_after_s=self._retry_after_s(exchange.headers.get("retry-after")),
                    body=_Body(exchange),
                )
        except HttpFailure as error:
            raise _sorted(error) from error

    async def count_tokens(self, call: UpstreamCall) -> int | None:
        """
        Ask a llama.cpp server: render its chat template, then tokenize. None when the pool names no such address.

        Failures are no errors: the estimate simply stands.
        """
        base = call.pool.tokenize_url
        if base is None:
            return None
        try:
            async with asyncio.timeout(_TOKENIZE_S):
                wanted = {name: call.body[name] for name in ("messages", "tools") if name in call.body}
                prompt = (await self._ask(base, "/apply-template", wanted, call))["prompt"]
                question = {"content": prompt, "add_special": True, "parse_special": True}
                return len((await self._ask(base, "/tokenize", question, call))["tokens"])
        except (HttpFailure, UpstreamError, TimeoutError, KeyError, TypeError, ValueError):
            return None

    def close(self) -> None:
        """Close idle connections."""
        self._pool.disconnect()

    async def _ask(self, base: str, path: str, body: Mapping[str, Any], call: UpstreamCall) -> Any:
        address = _address(base, path)
        request = _request(address, self._headers(call), _json(body))
        deadline = asyncio.get_running_loop().time() + _TOKENIZE_S
        async with self._pool.exchange(address.origin, request, deadline=deadline, idle_s=_TOKENIZE_S) as exchange:
            payload = await exchange.read_all(_MOST_COUNTED_BYTES)
        if exchange.status != 200:
            raise ConnectionBroke("it counts no tokens")
        return json.loads(payload)

    def _headers(self, call: UpstreamCall) -> dict[str, str]:
        headers = {**_ALWAYS, **call.headers, "x-request-id": call.request_id}
        if secret := self._secret_of(call):
            headers["authorization"] = f"Bearer {secret}"
        return headers

    def _retry_after_s(self, value: str | None) -> int | None:
        """Return how many seconds an upstream asks to wait: a number of them, or a date. None for anything else."""
        if value is None:
            return None
        if value.isascii() and value.isdigit() and len(value) < 6:
            return int(value)
        try:
            at_s = parsedate_to_datetime(value).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
        return max(0, math.ceil(at_s - self._clock.now_ms() / 1000))

    def _secret_of(self, call: UpstreamCall) -> str | None:
        if call.pool.api_key is None:
            return None
        try:
            secret = self._secret(call.pool.api_key)
        except SecretUnavailable as error:
            _log.error("pool %s: %s", call.pool.id, error)
            raise UpstreamUnreachable("no key") from None
        if secret and not _SENDABLE.fullmatch(secret):
            _log.error("pool %s: its key has characters that no header can carry", call.pool.id)
            raise UpstreamUnreachable("no key")
        return secret


class _Body:
    """A body as it comes, unpacked should it be packed all the same. Raises UpstreamError."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        encoding = exchange.headers.get("content-encoding", "").lower()
        if encoding not in _PACKED and encoding not in ("", "identity"):
            raise UpstreamBroken("the answer has an encoding that nobody asked for")
        self._packed = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in _PACKED else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._packed is None or self._packed.eof:
            if data := await self._read():
                return data if self._packed is None else b""  # what follows the end is nobody's
            raise StopAsyncIteration
        data = self._packed.unconsumed_tail or await self._read()
        try:
            unpacked = self._packed.decompress(data, _MOST_UNPACKED_BYTES)
        except zlib.error as error:
            raise UpstreamBroken("the answer cannot be unpacked") from error
        if not data and not unpacked:
            raise StopAsyncIteration
        return unpacked

    async def _read(self) -> bytes:
        try:
            return await self._exchange.read()
        except HttpFailure as error:
            raise _sorted(error) from error


def _address(base: str, path: str) -> Address:
    try:
        return address_of(base.rstrip("/") + path)
    except ValueError as error:
        raise UpstreamUnreachable("no address") from error


def _request(address: Address, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    head = f"POST {address.path} HTTP/1.1\r\nhost: {address.host}\r\n{lines}content-length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def _sorted(error: HttpFailure) -> UpstreamError:
    if isinstance(error, NothingSent):
        return UpstreamUnreachable("no connection")
    if isinstance(error, NoAnswerInTime):
        return UpstreamTimeout("no answer in time")
    return UpstreamBroken("the connection broke")


def _json(body: Mapping[str, Any]) -> bytes:
    return _written(body).encode("ascii")


_written = json.JSONEncoder(separators=(",", ":")).encode

"""
The `Upstream` port over httpx.

Guarantees: nothing is read later than the call's deadline; errors say whether the body may have been sent; redirects
are not followed; credentials come from outside and appear in no error text.
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

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
_KEEP_IDLE_S = 4
"""Below the five seconds after which common servers hang up: a request on a connection just closed may be billed."""
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)

type SecretLookup = Callable[[str], str | None]
"""Returns the secret that a pool's `api_key` reference names. Raises SecretUnavailable."""


class HttpUpstream:
    """Sends calls to pools. `idle_s`: the longest silence that is waited for between two reads."""

    def __init__(
        self,
        clock: Clock,
        secret: SecretLookup,
        *,
        idle_s: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._secret = secret
        timeout = httpx.Timeout(idle_s, connect=_CONNECT_S, pool=_CONNECT_S)
        limits = httpx.Limits(
            max_connections=_MOST_CONNECTIONS, max_keepalive_connections=100, keepalive_expiry=_KEEP_IDLE_S
        )
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=limits, follow_redirects=False, trust_env=False, transport=transport
        )

    @asynccontextmanager
    async def open(self, call: UpstreamCall) -> AsyncIterator[UpstreamAnswer]:
        """Send a call and yield its answer; leaving the context hangs up."""
        left_s = max(0.0, (call.deadline_unix_ms - self._clock.now_ms()) / 1000)
        deadline = asyncio.get_running_loop().time() + left_s
        request = self._client.build_request(
            "POST", call.pool.base_url.rstrip("/") + call.path, content=_json(call.body), headers=self._headers(call)
        )
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _sorted(error) from error
        try:
            yield UpstreamAnswer(
                status=response.status_code,
                content_type=response.headers.get("content-type", ""),
                retry_after_s=self._retry_after_s(response.headers.get("retry-after")),
                body=_read(response, deadline),
            )
        finally:
            await response.aclose()

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
        except (httpx.HTTPError, UpstreamError, TimeoutError, KeyError, TypeError, ValueError):
            return None

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()

    async def _ask(self, base: str, path: str, body: Mapping[str, Any], call: UpstreamCall) -> Any:
        response = await self._client.post(
            base.rstrip("/") + path, content=_json(body), headers=self._headers(call), timeout=_TOKENIZE_S
        )
        response.raise_for_status()
        return response.json()

    def _headers(self, call: UpstreamCall) -> dict[str, str]:
        headers = {
            **call.headers,
            "content-type": "application/json",
            "accept-encoding": "identity",
            "x-request-id": call.request_id,
        }
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
            return self._secret(call.pool.api_key)
        except SecretUnavailable as error:
            _log.error("pool %s: %s", call.pool.id, error)
            raise UpstreamUnreachable("no key") from None


async def _read(response: httpx.Response, deadline: float) -> AsyncIterator[bytes]:
    chunks = response.aiter_bytes()
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except (httpx.HTTPError, TimeoutError) as error:
            raise _sorted(error) from error
        yield chunk


def _sorted(error: Exception) -> UpstreamError:
    if isinstance(error, (*_NOTHING_SENT, httpx.InvalidURL)):
        return UpstreamUnreachable("no connection")
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return UpstreamTimeout("no answer in time")
    return UpstreamBroken("the connection broke")


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode("ascii")

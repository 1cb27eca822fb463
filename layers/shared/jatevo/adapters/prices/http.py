"""
One GET of JSON over httpx, for price sources.

Guarantees: redirects are not followed, at most MAX_BYTES are read, nothing is waited for longer than the timeouts, and
numbers with a point come as decimals. Every failure is a `SourceFailed`; no error text holds a key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import httpx

from jatevo.adapters.prices.failures import SourceFailed
from jatevo.domain.prices import Failing

MAX_BYTES = 1_000_000
_TIMEOUT = httpx.Timeout(8.0, connect=4.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A document, and when it was made, as far as the answer's headers tell."""

    document: Any
    as_of_unix_s: int


async def get_json(url: str, now_unix_s: int, headers: Mapping[str, str], **query: str) -> Answer:
    """Return the answer to one request. Raises SourceFailed."""
    try:
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, params=query or None, headers=_headers(headers)) as response,
        ):
            if response.status_code != 200:
                raise SourceFailed(Failing.REFUSED, f"status {response.status_code}")
            body = await _bounded(response)
    except httpx.TimeoutException as error:
        raise SourceFailed(Failing.TIMEOUT, "no answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceFailed(Failing.UNREACHABLE, type(error).__name__) from error
    return Answer(_parsed(body), _made_at(response, now_unix_s))


def _headers(more: Mapping[str, str]) -> dict[str, str]:
    return {"accept": "application/json", "accept-encoding": "identity", "user-agent": "jatevo-gateway", **more}


async def _bounded(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BYTES:
            raise SourceFailed(Failing.REFUSED, f"more than {MAX_BYTES} bytes")
    return body


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SourceFailed(Failing.MALFORMED, "the answer is no JSON") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _made_at(response: httpx.Response, now_unix_s: int) -> int:
    """Return when an answer was made: what its `Date` says, or a cache's `Age` ago, whichever is earlier."""
    age = response.headers.get("age", "")
    made = now_unix_s - (int(age) if age.isascii() and age.isdigit() and len(age) < 10 else 0)
    try:
        dated = int(parsedate_to_datetime(response.headers["date"]).timestamp())
    except (KeyError, ValueError, OverflowError):
        return made
    return min(made, dated)

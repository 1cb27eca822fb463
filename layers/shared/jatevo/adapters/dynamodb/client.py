"""
The low-level DynamoDB client of the request path: signed JSON over kept connections, with errors sorted by what they
leave known.

Guarantees: `once` sends a request at most once, so that a reservation id is never attempted twice; `retried` may send
it several times and is for reads and for writes that are harmless to repeat. Operations and their arguments are named
as boto3 names them, and values have its form: numbers are text, binary values are bytes.
"""

import asyncio
import json
import random
import secrets
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from jatevo.adapters.dynamodb.credentials import Credentials, NoCredentials
from jatevo.adapters.dynamodb.endpoints import endpoint_of
from jatevo.adapters.dynamodb.signing import Signer
from jatevo.adapters.http1.address import address_of
from jatevo.adapters.http1.errors import HttpFailure, NothingSent
from jatevo.adapters.http1.exchange import Exchange
from jatevo.adapters.http1.pool import Pool
from jatevo.application.meter import Meter, NoMeter
from jatevo.application.ports import OutcomeUnknown, StoreUnavailable
from jatevo.domain import metrics

REFUSED = "ConditionalCheckFailedException"
TRANSACTION_CANCELED = "TransactionCanceledException"
_TARGET = "DynamoDB_20120810."
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
_UNDER_WAY = "TransactionInProgressException"
_NOT_APPLIED = frozenset({"TransactionConflictException", _UNDER_WAY})
_BAD_CLOCK = frozenset({"InvalidSignatureException", "RequestExpired"})
_BELIEVED_S = 60
"""A clock that is off by more may be why a signature was refused: DynamoDB believes five minutes either way."""
_ATTEMPTS = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_KEPT_S = 60.0
_MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""A page of a query has a megabyte of items; their JSON is larger."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How to reach DynamoDB. `endpoint_url` None: AWS's own for the region."""

    region: str
    endpoint_url: str | None = None
    connect_timeout_s: float = 1.0
    read_timeout_s: float = 3.0
    connections: int = 64


class Throttled(StoreUnavailable):
    """There were too many requests; this one was not applied."""


class ConditionRefused(Exception):
    """A condition did not hold; `item` is the item as it was, None when there was none."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__(REFUSED)
        self.item = item


class TransactionRefused(Exception):
    """A transaction was cancelled; `reasons` are the codes, one for each of its parts."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Answer:
    """What DynamoDB said, `value`, with which HTTP status. `clock_was_off`: our clock, which it refused to believe."""

    status: int
    value: Mapping[str, Any]
    clock_was_off: bool = False

    @property
    def code(self) -> str:
        """What is wrong, by its name."""
        return str(self.value.get("__type", "")).rpartition("#")[2]

    @property
    def passes(self) -> bool:
        """Whether it may be otherwise a moment later."""
        return self.status >= 500 or self.clock_was_off or self.code in _THROTTLED or self.code == _UNDER_WAY


class DynamoClient:
    """Sends low-level operations, named as boto3 names them (`update_item`), from the event loop."""

    def __init__(
        self, options: ClientOptions, meter: Meter | None = None, credentials: Credentials | None = None
    ) -> None:
        self._options = options
        self._meter = meter or NoMeter()
        self._credentials = credentials or Credentials({})
        self._address = address_of(options.endpoint_url or endpoint_of(options.region))
        self._signer = Signer(self._address.host, options.region)
        self._pool = Pool(
            connect_s=options.connect_timeout_s, most=options.connections, keep=options.connections, keep_s=_KEPT_S
        )
        self._clock_is_off_s = 0.0

    async def once(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """
        Send one request, at most once.

        Raises ConditionRefused, StoreUnavailable when it was certainly not applied, OutcomeUnknown otherwise.
        """
        return await self._metered(operation, arguments, attempts=1)

    async def retried(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """Send a request that is harmless to repeat. Raises as `once` does, and TransactionRefused."""
        if operation == "transact_write_items":
            # DynamoDB knows a repeated transaction by its token, and a condition on what it wrote still holds.
            arguments = {"ClientRequestToken": secrets.token_hex(16), **arguments}
        return await self._metered(operation, arguments, attempts=_ATTEMPTS)

    async def _metered(self, operation: str, arguments: Mapping[str, Any], attempts: int) -> Mapping[str, Any]:
        try:
            return accepted(await self._answered(operation, arguments, attempts))
        except Throttled:
            self._meter.add(metrics.STORE_THROTTLES)
            raise
        except OutcomeUnknown:
            self._meter.add(metrics.STORE_UNKNOWN)
            raise

    async def _answered(self, operation: str, arguments: Mapping[str, Any], attempts: int) -> Answer:
        """Return what the last attempt brought that was needed. Raises StoreUnavailable, OutcomeUnknown."""
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                answer = await self.ask(operation, arguments)
            except HttpFailure as error:
                if last:
                    raise unanswered(error) from error
            else:
                if last or not answer.passes:
                    return answer
            await asyncio.sleep(random.random() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))  # noqa: S311 - spreads load
        raise AssertionError("the last attempt returns or raises")

    async def ask(self, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Send one request, at most once, and return what was answered. Raises HttpFailure, StoreUnavailable."""
        try:
            keys = await self._credentials.keys()
        except NoCredentials as error:
            raise StoreUnavailable("there are no AWS credentials for DynamoDB") from error
        body = _written(arguments).encode("ascii")
        headers = self._signer.headers(keys, _target(operation), body, time.time() + self._clock_is_off_s)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        request = f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode("ascii") + body
        timeout_s = self._options.read_timeout_s
        deadline = asyncio.get_running_loop().time() + self._options.connect_timeout_s + timeout_s
        async with self._pool.exchange(self._address.origin, request, deadline=deadline, idle_s=timeout_s) as exchange:
            answer = await _answer(exchange)
        if answer.code in _BAD_CLOCK and self._set_clock(exchange.headers.get("date")):
            return replace(answer, clock_was_off=True)
        return answer

    def _set_clock(self, date: str | None) -> bool:
        """Sign by the time that DynamoDB says it is from now on; return whether that is much another one."""
        try:
            off_s = parsedate_to_datetime(date or "").timestamp() - time.time()
        except ValueError:
            return False
        before_s, self._clock_is_off_s = self._clock_is_off_s, off_s
        return abs(off_s - before_s) > _BELIEVED_S

    def disconnect(self) -> None:
        """Close idle connections, which are dead in a restored snapshot; the next request makes a new one."""
        self._pool.disconnect()

    def close(self) -> None:
        """Close idle connections."""
        self._pool.disconnect()


def unanswered(error: HttpFailure) -> StoreUnavailable | OutcomeUnknown:
    """Return what a request that got no answer leaves known."""
    if isinstance(error, NothingSent):
        return StoreUnavailable("DynamoDB cannot be reached")
    return OutcomeUnknown("no answer from DynamoDB")


def accepted(answer: Answer) -> Mapping[str, Any]:
    """Return what a request that was accepted brought. Raises what another leaves known."""
    if answer.status == 200:
        return answer.value
    code = answer.code
    if code == REFUSED:
        raise ConditionRefused(answer.value.get("Item"))
    if code == TRANSACTION_CANCELED:
        raise TransactionRefused([part.get("Code") or "" for part in answer.value.get("CancellationReasons") or ()])
    if code in _THROTTLED:
        raise Throttled(f"DynamoDB refused: {code}")
    if code in _NOT_APPLIED or 400 <= answer.status < 500:
        raise StoreUnavailable(f"DynamoDB refused: {code}")
    raise OutcomeUnknown(f"DynamoDB failed: {code}")


async def _answer(exchange: Exchange) -> Answer:
    """Read an answer. Raises HttpFailure."""
    payload = await exchange.read_all(_MOST_ANSWER_BYTES)
    checksum = exchange.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(payload)):
        raise HttpFailure("the answer's checksum is wrong")
    try:
        # Only where there may be binary values is each object looked at: that takes longer than all the rest.
        value = (_read_with_bytes if b'"B' in payload else _read)(payload.decode())
    except ValueError:
        value = None
    if exchange.status == 200 and not isinstance(value, dict):
        raise HttpFailure("the answer is no JSON object")
    return Answer(exchange.status, value if isinstance(value, dict) else {})


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode("ascii")
    raise TypeError(f"DynamoDB has no {type(value).__name__}")


@cache
def _target(operation: str) -> str:
    return _TARGET + operation.title().replace("_", "")


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object of an answer; an attribute value's only member names its type."""
    if "B" in value:  # an attribute may have that name, too; then it has an object
        return {"B": b64decode(value["B"])} if isinstance(value["B"], str) else value
    if "BS" in value:
        return {"BS": [b64decode(one) for one in value["BS"]]} if isinstance(value["BS"], list) else value
    return value


_written = json.JSONEncoder(separators=(",", ":"), default=_text).encode
_read, _read_with_bytes = json.JSONDecoder().decode, json.JSONDecoder(object_hook=_with_bytes).decode

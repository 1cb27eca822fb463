"""
The low-level DynamoDB client of the request path: botocore's, in threads, its errors sorted by what they leave known.

Guarantees: `once` sends a request at most once (the SDK's own retries are off), so that a reservation id is never
attempted twice; `retried` may send it several times and is for reads and for writes that are harmless to repeat.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from jatevo.application.meter import Meter, NoMeter
from jatevo.application.ports import OutcomeUnknown, StoreUnavailable
from jatevo.domain import metrics

REFUSED = "ConditionalCheckFailedException"
TRANSACTION_CANCELED = "TransactionCanceledException"
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
_NOT_APPLIED = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)


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


class DynamoClient:
    """Sends low-level operations, named as boto3 names them (`update_item`), from the event loop."""

    def __init__(self, options: ClientOptions, meter: Meter | None = None) -> None:
        make = partial(
            _session().create_client, "dynamodb", region_name=options.region, endpoint_url=options.endpoint_url
        )
        self._once = make(config=_config(options, attempts=1))
        self._retried = make(config=_config(options, attempts=4))
        self._meter = meter or NoMeter()
        self._threads = ThreadPoolExecutor(max_workers=options.connections, thread_name_prefix="dynamodb")

    async def once(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """
        Send one request, at most once.

        Raises ConditionRefused, StoreUnavailable when it was certainly not applied, OutcomeUnknown otherwise.
        """
        return await self._call(self._once, operation, arguments)

    async def retried(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        """Send a request that is harmless to repeat. Raises as `once` does, and TransactionRefused."""
        return await self._call(self._retried, operation, arguments)

    async def _call(self, client: Any, operation: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _send, getattr(client, operation), arguments)
        except Throttled:
            self._meter.add(metrics.STORE_THROTTLES)
            raise
        except OutcomeUnknown:
            self._meter.add(metrics.STORE_UNKNOWN)
            raise

    def disconnect(self) -> None:
        """Close idle connections, which are dead in a restored snapshot; the next request makes a new one."""
        self._once.close()
        self._retried.close()

    def close(self) -> None:
        """Close connections and threads. Requests under way are finished first."""
        self._threads.shutdown(wait=True)
        self.disconnect()


@cache
def _session() -> botocore.session.Session:
    """
    One session per process: reading the service's description costs 80 ms and 10 MB, once.

    botocore's own: the client is the same, and boto3 would import what it needs for files in S3, another 70 ms.
    """
    return botocore.session.get_session()


def _config(options: ClientOptions, *, attempts: int) -> Config:
    return Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        max_pool_connections=options.connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
        parameter_validation=False,
    )


def _send(method: Any, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = method(**arguments)
        return answer
    except ClientError as error:
        raise _sorted(error) from error
    except NoCredentialsError as error:
        raise StoreUnavailable("there are no AWS credentials for DynamoDB") from error
    except _NEVER_SENT as error:
        raise StoreUnavailable("DynamoDB cannot be reached") from error
    except BotoCoreError as error:
        raise OutcomeUnknown("no answer from DynamoDB") from error


def _sorted(error: ClientError) -> Exception:
    response: Mapping[str, Any] = error.response
    code = response.get("Error", {}).get("Code", "")
    if code == REFUSED:
        return ConditionRefused(response.get("Item"))
    if code == TRANSACTION_CANCELED:
        return TransactionRefused([reason.get("Code") or "" for reason in response.get("CancellationReasons", ())])
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if code in _THROTTLED:
        return Throttled(f"DynamoDB refused: {code}")
    if code in _NOT_APPLIED or 400 <= status < 500:
        return StoreUnavailable(f"DynamoDB refused: {code}")
    return OutcomeUnknown(f"DynamoDB failed: {code}")

"""Errors as botocore raises them for what DynamoDB answers."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from jatevo_testing.engine_model.values import Item

REFUSED = "ConditionalCheckFailedException"
CANCELLED = "TransactionCanceledException"


class Invalid(Exception):
    """A request that DynamoDB refuses as invalid, before it is known as part of which request."""


class ConditionFailed(Exception):
    """A condition that did not hold for `item`."""

    def __init__(self, item: Item | None) -> None:
        super().__init__(REFUSED)
        self.item = item


def client_error(operation: str, code: str, message: str = "", **more: Any) -> ClientError:
    """Return what botocore raises for a status of 400."""
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}, **more}
    return ClientError(response, operation)


def invalid(operation: str, message: str) -> ClientError:
    return client_error(operation, "ValidationException", message)


def refused(operation: str, item: Item | None) -> ClientError:
    """Return the error of a condition that failed; `item` is what was to come back of it."""
    more = {} if item is None else {"Item": item}
    return client_error(operation, REFUSED, "The conditional request failed", **more)


def cancelled(operation: str, reasons: Sequence[dict[str, Any]]) -> ClientError:
    codes = ", ".join(reason["Code"] for reason in reasons)
    return client_error(operation, CANCELLED, f"Transaction cancelled: [{codes}]", CancellationReasons=list(reasons))

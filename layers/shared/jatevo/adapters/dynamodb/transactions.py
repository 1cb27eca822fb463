"""Transactions that hold or are refused by a condition; others at the same items just then are waited out."""

from typing import Any

from jatevo.adapters.dynamodb.client import DynamoClient, TransactionRefused
from jatevo.application.ports import StoreUnavailable

_CONDITION_FAILED = "ConditionalCheckFailed"
_RACED = "TransactionConflict"
_ATTEMPTS = 8


async def transact(client: DynamoClient, *parts: dict[str, Any]) -> bool:
    """
    Write all parts, or none; return False when a condition of one did not hold.

    Each part must be harmless to repeat. Raises StoreUnavailable: nothing was written; OutcomeUnknown as ever.
    """
    reasons: list[str] = []
    for _ in range(_ATTEMPTS):
        try:
            await client.retried("transact_write_items", TransactItems=list(parts))
        except TransactionRefused as refused:
            reasons = refused.reasons
            if _CONDITION_FAILED in reasons:
                return False
            if _RACED not in reasons:
                break
        else:
            return True
    raise StoreUnavailable(", ".join(reasons))

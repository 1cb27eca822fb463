"""What a cancelled transaction means: a condition did not hold, or others were at the same items just then."""

from jatevo.adapters.dynamodb.client import TransactionRefused
from jatevo.application.ports import StoreUnavailable

_CONDITION_FAILED = "ConditionalCheckFailed"


def refused_by_condition(refused: TransactionRefused) -> bool:
    """Return True: it was a condition. Raises StoreUnavailable when it was something else: nothing was written."""
    if _CONDITION_FAILED in refused.reasons:
        return True
    raise StoreUnavailable(str(refused)) from refused

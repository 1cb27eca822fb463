"""
The `CorrectionStore` port on DynamoDB: corrections stand in the ledger's table, in a book of their own
(`acct_…#corrections`).

A correction and the counters it moves are one transaction, on condition that each counter still is what was audited.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.dynamodb.client import DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.ledger import book, put_once, window_key, window_name
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import StoreUnavailable
from jatevo.domain.reconciliation import Correction
from jatevo.domain.windows import Limits, Window, WindowKey

_BOOK = "corrections"
_FAILED = "ConditionalCheckFailed"
_COUNTERS = ("budget_limit", "budget_left", "requests_left", "settled", "exposed")


class DynamoCorrections:
    """The `CorrectionStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._names = names

    async def correct(self, correction: Correction) -> bool:
        try:
            await self._client.retried(
                "transact_write_items", TransactItems=[self._once(correction), self._moved(correction)]
            )
        except TransactionRefused as refused:
            there, same = refused.reasons
            if there == _FAILED:
                return True  # a repeat of what was done
            if same == _FAILED:
                return False
            raise StoreUnavailable(f"the window was not corrected: {refused.reasons}") from refused
        return True

    async def corrections(self, account_id: str) -> Sequence[Correction]:
        found = all_items(
            self._client,
            "query",
            TableName=self._names.ledger,
            KeyConditionExpression="#book = :book",
            ExpressionAttributeNames={"#book": "book"},
            ExpressionAttributeValues={":book": text(book(account_id, _BOOK))},
            ScanIndexForward=False,
            ConsistentRead=True,
        )
        return [_correction(account_id, item) async for item in found]

    def _once(self, correction: Correction) -> dict[str, Any]:
        item: Item = {
            "book": text(book(correction.account_id, _BOOK)),
            "reservation_id": text(correction.id),
            "window": text(window_name(correction.window)),
            "before": _counters(correction.before),
            "after": _counters(correction.after),
            "reason": text(correction.reason),
            "operator": text(correction.operator),
            "at": number(correction.at_unix_s),
        }
        return put_once(self._names.ledger, item)

    def _moved(self, correction: Correction) -> dict[str, Any]:
        before, after = _counters(correction.before)["M"], _counters(correction.after)["M"]
        unchanged = [
            f"(#{name} = :was_{name} OR attribute_not_exists(#{name}))"
            if name == "exposed"
            else f"#{name} = :was_{name}"
            for name in _COUNTERS
        ]
        return {
            "Update": {
                "TableName": self._names.windows,
                "Key": {"owner": text(correction.window.owner), "period": text(correction.window.period)},
                "UpdateExpression": f"SET {', '.join(f'#{name} = :{name}' for name in _COUNTERS)}",
                "ConditionExpression": " AND ".join(unchanged),
                "ExpressionAttributeNames": {f"#{name}": name for name in _COUNTERS},
                "ExpressionAttributeValues": {
                    **{f":{name}": after[name] for name in _COUNTERS},
                    **{f":was_{name}": before[name] for name in _COUNTERS},
                },
            }
        }


def _counters(window: Window) -> dict[str, dict[str, Any]]:
    return {
        "M": {
            "budget_limit": number(window.limits.budget_nano_usd),
            "budget_left": number(window.budget_left_nano_usd),
            "requests_left": number(window.requests_left),
            "settled": number(window.settled_nano_usd),
            "exposed": number(window.exposed_nano_usd),
        }
    }


def _correction(account_id: str, item: Item) -> Correction:
    key = window_key(get_text(item, "window"))
    return Correction(
        id=get_text(item, "reservation_id"),
        account_id=account_id,
        window=key,
        before=_window(key, item["before"]["M"]),
        after=_window(key, item["after"]["M"]),
        reason=get_text(item, "reason"),
        operator=get_text(item, "operator"),
        at_unix_s=get_int(item, "at"),
    )


def _window(key: WindowKey, said: Mapping[str, Any]) -> Window:
    """Return the counters as a window that has no other bounds."""
    return Window(
        key=key,
        limits=Limits(budget_nano_usd=get_int(said, "budget_limit")),
        requests_left=get_int(said, "requests_left"),
        budget_left_nano_usd=get_int(said, "budget_left"),
        settled_nano_usd=get_int(said, "settled"),
        exposed_nano_usd=get_int(said, "exposed"),
    )

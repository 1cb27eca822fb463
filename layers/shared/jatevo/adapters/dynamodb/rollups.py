"""
The `Rollups` port on DynamoDB: one item for each account and day, and one for everything before.

Advancing is a put on condition that the item is still the one that was read, told by `folded_to` and `complete`: each
advance changes one of them and neither ever goes back. A row is packed as `"key_id|model": [numbers of the tally]`,
zeros at the end left out; the rows the domain allows come to less than the 400 KB an item may have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_flag, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.domain.rollups import Rollup, Tally, Usage

_AFTER_ALL_DAYS = "9999-99-99"
_BETWEEN_KEY_AND_MODEL = "|"


class DynamoRollups:
    """The `Rollups` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.rollups

    async def read(self, account_id: str, period: str) -> Rollup | None:
        key = {"account_id": text(account_id), "period": text(period)}
        answer = await self._client.retried("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else rollup_from_item(item)

    async def days(self, account_id: str, *, since: str) -> Sequence[Rollup]:
        found = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression="#account = :account AND #period BETWEEN :since AND :last",
            ExpressionAttributeNames={"#account": "account_id", "#period": "period"},
            ExpressionAttributeValues={
                ":account": text(account_id),
                ":since": text(since),
                ":last": text(_AFTER_ALL_DAYS),
            },
            ConsistentRead=True,
        )
        return [rollup_from_item(item) async for item in found]

    async def advance(self, rollup: Rollup, *, previous: Rollup | None) -> bool:
        if previous is None:
            condition: dict[str, Any] = {
                "ConditionExpression": "attribute_not_exists(#period)",
                "ExpressionAttributeNames": {"#period": "period"},
            }
        else:
            assert (rollup.folded_to, rollup.complete) != (previous.folded_to, previous.complete)
            condition = {
                "ConditionExpression": "#folded_to = :folded_to AND #complete = :complete",
                "ExpressionAttributeNames": {"#folded_to": "folded_to", "#complete": "complete"},
                "ExpressionAttributeValues": {
                    ":folded_to": text(previous.folded_to),
                    ":complete": {"BOOL": previous.complete},
                },
            }
        try:
            await self._client.retried("put_item", TableName=self._table, Item=_item(rollup), **condition)
        except ConditionRefused:
            return False
        return True


def rollup_from_item(item: Item) -> Rollup:
    """Return the rollup an item stands for."""
    rows: Mapping[str, Any] = item["rows"]["M"]
    return Rollup(
        account_id=get_text(item, "account_id"),
        period=get_text(item, "period"),
        folded_to=get_text(item, "folded_to"),
        complete=get_flag(item, "complete", default=False),
        tallies={_usage(name): Tally(*(int(value["N"]) for value in row["L"])) for name, row in rows.items()},
    )


def _item(rollup: Rollup) -> dict[str, Any]:
    rows = {
        f"{usage.key_id}{_BETWEEN_KEY_AND_MODEL}{usage.model}": {"L": _numbers(tally)}
        for usage, tally in rollup.tallies.items()
    }
    return {
        "account_id": text(rollup.account_id),
        "period": text(rollup.period),
        "folded_to": text(rollup.folded_to),
        "complete": {"BOOL": rollup.complete},
        "rows": {"M": rows},
    }


def _numbers(tally: Tally) -> list[dict[str, str]]:
    values = list(astuple(tally))
    while values and values[-1] == 0:
        values.pop()
    return [number(value) for value in values]


def _usage(name: str) -> Usage:
    key_id, _, model = name.partition(_BETWEEN_KEY_AND_MODEL)
    return Usage(key_id, model)

"""The `AuditStore` port on DynamoDB: one item for each change, in one partition for each month."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.dynamodb.client import DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_text, text
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.audit import Change, State
from jatevo.domain.calendar import utc_day

_LONGEST = 100_000
"""Bytes of what is kept of a subject: a catalogue's document stands in its own table."""


class DynamoAudit:
    """The `AuditStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.audit

    async def put(self, change: Change, *, random_bits: int) -> None:
        item = {
            "period": text(utc_day(change.at_ms // 1000)[:7]),
            "at": text(f"{change.at_ms:015d}#{random_bits:010x}"),
            "operator": text(change.operator),
            "action": text(change.action),
            "subject": text(change.subject),
        }
        for name, value in (("before", change.before), ("after", change.after), ("asked", change.asked)):
            if value is not None:
                item[name] = text(_packed(value))
        if change.state is not State.MADE:
            item["state"] = text(change.state)
        await self._client.retried("put_item", TableName=self._table, Item=item)

    async def changes(self, month: str, limit: int) -> Sequence[Change]:
        found: list[Change] = []
        start: Mapping[str, object] | None = None
        while True:
            more = {} if start is None else {"ExclusiveStartKey": start}
            answer = await self._client.retried(
                "query",
                TableName=self._table,
                KeyConditionExpression="#period = :period",
                FilterExpression="attribute_not_exists(#state) OR #state <> :nothing",
                ExpressionAttributeNames={"#period": "period", "#state": "state"},
                ExpressionAttributeValues={":period": text(month), ":nothing": text(State.NOTHING)},
                ScanIndexForward=False,
                Limit=limit,
                ConsistentRead=True,
                **more,
            )
            found += [_change(item) for item in answer.get("Items", [])]
            start = answer.get("LastEvaluatedKey")
            if start is None or len(found) >= limit:
                return found[:limit]


def _packed(value: Mapping[str, Any]) -> str:
    packed = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return packed if len(packed) <= _LONGEST else json.dumps({"omitted": f"{len(packed)} characters"})


def _change(item: Item) -> Change:
    def value(name: str) -> Mapping[str, Any] | None:
        packed = get_text(item, name)
        return json.loads(packed) if packed else None

    return Change(
        at_ms=int(get_text(item, "at").partition("#")[0]),
        operator=get_text(item, "operator"),
        action=get_text(item, "action"),
        subject=get_text(item, "subject"),
        before=value("before"),
        after=value("after"),
        state=State(get_text(item, "state", State.MADE)),
        asked=value("asked"),
    )

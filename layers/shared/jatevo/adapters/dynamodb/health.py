"""
The `HealthStore` port on DynamoDB: one item for each pool that ever failed or was drained, all in one partition.

One query reads them all, half a unit for the first 4 KB. A breaker and a drain are different attributes of an item,
and neither write touches the other's.
"""

from collections.abc import Mapping

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.schema import POOLS_KIND, TableNames
from jatevo.application.routes_store import Shared
from jatevo.domain.breaker import Breaker, State


class DynamoHealth:
    """The `HealthStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.health

    async def read(self) -> Mapping[str, Shared]:
        found: dict[str, Shared] = {}
        start: Mapping[str, object] | None = None
        while True:
            more = {} if start is None else {"ExclusiveStartKey": start}
            answer = await self._client.retried(
                "query",
                TableName=self._table,
                KeyConditionExpression="#kind = :kind",
                ExpressionAttributeNames={"#kind": "kind"},
                ExpressionAttributeValues={":kind": text(POOLS_KIND)},
                **more,
            )
            found |= {get_text(item, "pool"): _shared(item) for item in answer.get("Items", [])}
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return found

    async def advance(self, pool_id: str, breaker: Breaker, *, now_ms: int) -> bool:
        try:
            await self._client.once(
                "update_item",
                TableName=self._table,
                Key=_key(pool_id),
                UpdateExpression=(
                    "SET #state = :state, #until = :until, #trips = :trips, #version = :version, #changed = :now"
                ),
                ConditionExpression="attribute_not_exists(#version) OR #version < :version",
                ExpressionAttributeNames={
                    "#state": "state",
                    "#until": "until_ms",
                    "#trips": "trips",
                    "#version": "version",
                    "#changed": "changed_at",
                },
                ExpressionAttributeValues={
                    ":state": text(breaker.state),
                    ":until": number(breaker.until_ms),
                    ":trips": number(breaker.trips),
                    ":version": number(breaker.version),
                    ":now": number(now_ms // 1000),
                },
            )
        except ConditionRefused:
            return False
        return True

    async def drain(self, pool_id: str, operator: str | None, *, now_unix_s: int) -> None:
        names = {"#by": "drained_by", "#at": "drained_at"}
        if operator is None:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(pool_id),
                UpdateExpression="REMOVE #by, #at",
                ExpressionAttributeNames=names,
            )
            return
        await self._client.retried(
            "update_item",
            TableName=self._table,
            Key=_key(pool_id),
            UpdateExpression="SET #by = :by, #at = :now",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":by": text(operator), ":now": number(now_unix_s)},
        )


def _key(pool_id: str) -> Item:
    return {"kind": text(POOLS_KIND), "pool": text(pool_id)}


def _shared(item: Item) -> Shared:
    breaker = Breaker(
        State(get_text(item, "state", State.CLOSED)),
        get_int(item, "until_ms"),
        get_int(item, "trips"),
        get_int(item, "version"),
    )
    return Shared(
        breaker,
        get_text(item, "drained_by") or None,
        get_int(item, "drained_at"),
        get_int(item, "changed_at"),
    )

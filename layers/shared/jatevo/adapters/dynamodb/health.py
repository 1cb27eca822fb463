"""
The `HealthStore` port on DynamoDB: one item for each pool that ever failed or was drained, and one of the service as
a whole, all in one partition.

One query reads them all, half a unit for the first 4 KB. A breaker and a drain are different attributes of an item,
and neither write touches the other's.
"""

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_int, get_optional_int, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import POOLS_KIND, TableNames
from jatevo.application.routes_store import Known, Shared
from jatevo.domain.breaker import Breaker, State
from jatevo.domain.service import Pause, Service

_SERVICE = "(service)"
"""The item of the service as a whole, beside those of pools: no pool can have this name."""


class DynamoHealth:
    """The `HealthStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.health

    async def read(self) -> Known:
        items = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": "kind"},
            ExpressionAttributeValues={":kind": text(POOLS_KIND)},
        )
        found = {get_text(item, "pool"): item async for item in items}
        service = found.pop(_SERVICE, None)
        pools = {pool_id: _shared(item) for pool_id, item in found.items()}
        return Known(pools, Service() if service is None else _service(service))

    async def put_service(self, service: Service) -> bool:
        item = {
            **_key(_SERVICE),
            "version": number(service.version + 1),
            **({} if service.ceiling_nano_usd is None else {"ceiling": number(service.ceiling_nano_usd)}),
        }
        pause = service.pause
        if pause is not None:
            item |= {"paused_by": text(pause.by), "reason": text(pause.reason), "since": number(pause.since_unix_s)}
            item |= {} if pause.until_unix_s is None else {"until": number(pause.until_unix_s)}
        try:
            await self._client.once(
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#version) OR #version = :read",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":read": number(service.version)},
            )
        except ConditionRefused:
            return False
        return True

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


def _service(item: Item) -> Service:
    by = get_text(item, "paused_by")
    pause = None
    if by:
        since, until = get_int(item, "since"), get_optional_int(item, "until")
        pause = Pause(by, get_text(item, "reason"), since, until)
    return Service(pause, get_optional_int(item, "ceiling"), get_int(item, "version"))


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

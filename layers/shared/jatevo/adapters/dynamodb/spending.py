"""
The `SpendStore` port on DynamoDB, in the table of what processes share: a partition for each day, an item for each
window in it, and one more partition for prepaid balances, which have no day.
"""

from collections.abc import Mapping

from jatevo.adapters.dynamodb.client import DynamoClient
from jatevo.adapters.dynamodb.items import get_int, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import Clock

_BALANCES = "balances"
_KEPT_S = 3 * 86_400


class DynamoSpending:
    """The `SpendStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames, clock: Clock) -> None:
        self._client = client
        self._table = names.health
        self._clock = clock

    async def of_day(self, day: str) -> Mapping[str, int]:
        return await self._read(f"spend#{day}")

    async def balances(self) -> Mapping[str, int]:
        return await self._read(_BALANCES)

    async def note(self, day: str, owner: str, nano_usd: int, balance_nano_usd: int | None = None) -> None:
        ttl = number(self._clock.now_ms() // 1000 + _KEPT_S)
        # The day first: a balance that is not remembered is counted again, one that was not counted never.
        await self._put(f"spend#{day}", owner, {"nano_usd": number(nano_usd), "ttl": ttl})
        if balance_nano_usd is not None:
            await self._put(_BALANCES, owner, {"nano_usd": number(balance_nano_usd)})

    async def _put(self, kind: str, owner: str, values: Mapping[str, Mapping[str, str]]) -> None:
        item = {"kind": text(kind), "pool": text(owner), **values}
        await self._client.retried("put_item", TableName=self._table, Item=item)

    async def _read(self, kind: str) -> Mapping[str, int]:
        found = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression="#kind = :kind",
            ExpressionAttributeNames={"#kind": "kind"},
            ExpressionAttributeValues={":kind": text(kind)},
        )
        return {get_text(item, "pool"): get_int(item, "nano_usd") async for item in found}

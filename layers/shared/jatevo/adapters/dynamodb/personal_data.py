"""
The `PersonalData` port on DynamoDB and the bucket.

A wallet's item is its address: it is unlinked at once and ends by its `ttl`, unless the wallet signs in again before.
"""

from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.responses import Objects
from jatevo.adapters.dynamodb.schema import WALLETS_BY_ACCOUNT, TableNames


class DynamoPersonalData:
    """The `PersonalData` port. `objects` None: nothing is kept in a bucket."""

    def __init__(self, client: DynamoClient, names: TableNames, objects: Objects | None) -> None:
        self._client = client
        self._wallets = names.wallets
        self._responses = names.responses
        self._objects = objects

    async def forget_wallets(self, account_id: str, gone_at_unix_s: int) -> int:
        found = await self._items(account_id, "wallet", TableName=self._wallets, IndexName=WALLETS_BY_ACCOUNT)
        for item in found:
            try:
                await self._client.retried(
                    "update_item",
                    TableName=self._wallets,
                    Key={"wallet": item["wallet"]},
                    UpdateExpression="SET #ttl = :gone REMOVE #account, #linked",
                    ConditionExpression="#account = :account",
                    ExpressionAttributeNames={"#ttl": "ttl", "#account": "account_id", "#linked": "linked_at"},
                    ExpressionAttributeValues={":gone": number(gone_at_unix_s), ":account": text(account_id)},
                )
            except ConditionRefused:
                continue  # it was unlinked meanwhile
        return len(found)

    async def forget_content(self, account_id: str) -> int:
        found = await self._items(account_id, "item", "object", TableName=self._responses, ConsistentRead=True)
        for item in found:
            if "object" in item and self._objects is not None:
                await self._objects.delete(get_text(item, "object"))
            key = {"account_id": text(account_id), "item": item["item"]}
            await self._client.retried("delete_item", TableName=self._responses, Key=key)
        return len(found)

    async def _items(self, account_id: str, *names: str, **where: Any) -> list[Item]:
        """Return these attributes of all items of an account."""
        found = all_items(
            self._client,
            "query",
            KeyConditionExpression="#account = :account",
            ProjectionExpression=", ".join(f"#{name}" for name in names),
            ExpressionAttributeNames={"#account": "account_id", **{f"#{name}": name for name in names}},
            ExpressionAttributeValues={":account": text(account_id)},
            **where,
        )
        return [item async for item in found]

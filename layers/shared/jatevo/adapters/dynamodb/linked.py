"""The items of the wallets that are linked to an account, by the index that knows them."""

from collections.abc import AsyncIterator

from jatevo.adapters.dynamodb.client import DynamoClient
from jatevo.adapters.dynamodb.items import Item, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import WALLETS_BY_ACCOUNT


def linked_items(client: DynamoClient, table: str, account_id: str) -> AsyncIterator[Item]:
    """Yield them; as indexes are, a moment late. Raises as `DynamoClient.retried` does."""
    return all_items(
        client,
        "query",
        TableName=table,
        IndexName=WALLETS_BY_ACCOUNT,
        KeyConditionExpression="#account = :account",
        ExpressionAttributeNames={"#account": "account_id"},
        ExpressionAttributeValues={":account": text(account_id)},
    )

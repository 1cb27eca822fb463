"""All items of a query or a scan, however many pages DynamoDB gives them in."""

from collections.abc import AsyncIterator
from typing import Any

from jatevo.adapters.dynamodb.client import DynamoClient
from jatevo.adapters.dynamodb.items import Item


async def all_items(client: DynamoClient, operation: str, **arguments: Any) -> AsyncIterator[Item]:
    """Yield every item that `query` or `scan` finds, in its order. Raises as `DynamoClient.retried` does."""
    while True:
        answer = await client.retried(operation, **arguments)
        for item in answer.get("Items", ()):
            yield item
        if not answer.get("LastEvaluatedKey"):
            return
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

"""The playground's account, stored by its first visitor: one conditional update is all that its function may do."""

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.directory import account_item
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.domain.accounts import Account


class DynamoPlayground:
    """Stores an account unless one of its id is there."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.accounts

    async def __call__(self, account: Account) -> None:
        item = account_item(account)
        key = {"account_id": item.pop("account_id")}
        names = {f"#{place}": name for place, name in enumerate(item)}
        values = {f":{place}": value for place, value in enumerate(item.values())}
        assigned = ", ".join(f"#{place} = :{place}" for place in range(len(item)))
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=key,
                UpdateExpression=f"SET {assigned}",
                ConditionExpression="attribute_not_exists(#id)",
                ExpressionAttributeNames={**names, "#id": "account_id"},
                ExpressionAttributeValues=values,
            )
        except ConditionRefused:
            return

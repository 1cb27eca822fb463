"""The accounts whose limits come from holdings: read past any cache, moved by compare-and-set on their version."""

from collections.abc import AsyncIterator

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.directory import account_from_item
from jatevo.adapters.dynamodb.items import get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.domain.accounts import Account, LimitsFrom


class DynamoEntitled:
    """The `EntitledAccounts` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.accounts

    async def account(self, account_id: str) -> Account | None:
        key = {"account_id": text(account_id)}
        answer = await self._client.retried("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else account_from_item(item)

    async def entitle(self, account: Account) -> bool:
        assert account.limits_from is LimitsFrom.HOLDINGS, "an operator's limits are the operator's"
        assert account.entitled_day is not None, "limits by holdings are for a day"
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key={"account_id": text(account.id)},
                UpdateExpression="SET #requests = :requests, #budget = :budget, #day = :day, #version = :version",
                ConditionExpression="#version = :previous AND #from = :holdings",
                ExpressionAttributeNames={
                    "#requests": "requests_per_day",
                    "#budget": "budget_nano_usd_per_day",
                    "#day": "entitled_day",
                    "#version": "version",
                    "#from": "limits_from",
                },
                ExpressionAttributeValues={
                    ":requests": number(account.limits.requests),
                    ":budget": number(account.limits.budget_nano_usd),
                    ":day": text(account.entitled_day),
                    ":version": number(account.version),
                    ":previous": number(account.version - 1),
                    ":holdings": text(LimitsFrom.HOLDINGS),
                },
            )
        except ConditionRefused:
            return False
        return True

    async def entitled_on(self, day: str) -> AsyncIterator[str]:
        found = all_items(
            self._client,
            "scan",
            TableName=self._table,
            FilterExpression="#day = :day AND #from = :holdings",
            ProjectionExpression="#id",
            ExpressionAttributeNames={"#day": "entitled_day", "#from": "limits_from", "#id": "account_id"},
            ExpressionAttributeValues={":day": text(day), ":holdings": text(LimitsFrom.HOLDINGS)},
        )
        async for item in found:
            yield get_text(item, "account_id")

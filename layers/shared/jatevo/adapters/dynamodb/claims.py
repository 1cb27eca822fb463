"""
For whom wallets count: attributes of the wallets' own items, beside the link.

A claim is one conditional update: linked to this account, and for this day claimed by nobody else. It outlives the
link, so that unlinking and linking elsewhere moves nothing before the next day.
"""

from collections.abc import AsyncIterator, Sequence

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.linked import linked_items
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.holdings import Claim
from jatevo.domain.wallets import Namespace, Wallet, wallet_from_text


class DynamoClaims:
    """The `Claims` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.wallets

    async def of_account(self, account_id: str) -> Sequence[Wallet]:
        found = linked_items(self._client, self._table, account_id)
        return [_claim(item).wallet async for item in found]

    async def claim(self, wallet: Wallet, account_id: str, day: str) -> Claim | None:
        stored = await self._get(wallet)
        if stored is None or stored.account_id != account_id or stored.belongs_to(account_id, day):
            return stored
        try:
            answer = await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(wallet),
                UpdateExpression="SET #day = :day, #by = :account",
                ConditionExpression=(
                    "#account = :account AND "
                    "(attribute_not_exists(#day) OR #day < :day OR (#day = :day AND #by = :account))"
                ),
                ExpressionAttributeNames={"#account": "account_id", "#day": "claimed_day", "#by": "claimed_by"},
                ExpressionAttributeValues={":account": text(account_id), ":day": text(day)},
                ReturnValues="ALL_NEW",
            )
        except ConditionRefused:
            return await self._get(wallet)
        return _claim(answer["Attributes"])

    async def saw(self, wallet: Wallet, units: int, at_unix_s: int) -> None:
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(wallet),
                UpdateExpression="SET #units = :units, #at = :at",
                ConditionExpression="attribute_exists(#wallet) AND (attribute_not_exists(#at) OR #at <= :at)",
                ExpressionAttributeNames={"#wallet": "wallet", "#units": "seen_units", "#at": "seen_at"},
                ExpressionAttributeValues={":units": text(str(units)), ":at": number(at_unix_s)},
            )
        except ConditionRefused:
            return

    async def linked(self, namespace: Namespace) -> AsyncIterator[Wallet]:
        found = all_items(
            self._client,
            "scan",
            TableName=self._table,
            FilterExpression="attribute_exists(#account) AND begins_with(#wallet, :namespace)",
            ProjectionExpression="#wallet",
            ExpressionAttributeNames={"#account": "account_id", "#wallet": "wallet"},
            ExpressionAttributeValues={":namespace": text(f"{namespace}:")},
        )
        async for item in found:
            yield _claim(item).wallet

    async def _get(self, wallet: Wallet) -> Claim | None:
        answer = await self._client.retried("get_item", TableName=self._table, Key=_key(wallet), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else _claim(item)


def _key(wallet: Wallet) -> dict[str, dict[str, str]]:
    return {"wallet": text(str(wallet))}


def _claim(item: Item) -> Claim:
    wallet = wallet_from_text(get_text(item, "wallet"))
    assert wallet is not None, "only wallets are stored"
    return Claim(
        wallet=wallet,
        account_id=get_text(item, "account_id") or None,
        claimed_day=get_text(item, "claimed_day"),
        claimed_by=get_text(item, "claimed_by"),
        seen_units=int(get_text(item, "seen_units", "0")),
        seen_at_unix_s=get_int(item, "seen_at"),
    )

"""
The `WalletStore` port on DynamoDB.

Unlinking deletes no wallet's item: it removes the account from it, and with that from the index, and leaves what the
wallet counted for today (`claimed_day`, `claimed_by`). Of an erased account it ends by its `ttl`, unless linked anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.directory import account_item
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.linked import linked_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.dynamodb.transactions import transact
from jatevo.application.identity import LinkedWallet
from jatevo.domain.accounts import Account
from jatevo.domain.wallets import Wallet, wallet_from_text


class DynamoWallets:
    """Wallets and the accounts they are linked to."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._table = names.wallets
        self._accounts = names.accounts

    async def wallet(self, wallet: Wallet) -> LinkedWallet | None:
        answer = await self._client.retried("get_item", TableName=self._table, Key=_key(wallet), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else linked_wallet(item)

    async def of_account(self, account_id: str) -> Sequence[LinkedWallet]:
        found = linked_items(self._client, self._table, account_id)
        return [linked_wallet(item) async for item in found]

    async def create_account(self, account: Account, wallet: Wallet) -> bool:
        put = {
            "TableName": self._accounts,
            "Item": account_item(account),
            "ConditionExpression": "attribute_not_exists(#id)",
            "ExpressionAttributeNames": {"#id": "account_id"},
        }
        link = self._linking(wallet, account.id, account.created_at_unix_s)
        if await transact(self._client, {"Put": put}, {"Update": link}):
            return True
        # A repeated one meets what the first one wrote: then it is linked to this very account.
        stored = await self.wallet(wallet)
        return stored is not None and stored.account_id == account.id

    async def link(self, wallet: Wallet, account_id: str, now_unix_s: int) -> bool:
        try:
            await self._client.retried("update_item", **self._linking(wallet, account_id, now_unix_s))
        except ConditionRefused:
            return False
        return True

    async def unlink(self, wallet: Wallet, account_id: str, *, staying: Wallet) -> bool:
        mine = {
            "TableName": self._table,
            "ConditionExpression": "#account = :account",
            "ExpressionAttributeValues": {":account": text(account_id)},
        }
        remove = mine | {
            "Key": _key(wallet),
            "UpdateExpression": "REMOVE #account, #linked",
            "ExpressionAttributeNames": {"#account": "account_id", "#linked": "linked_at"},
        }
        stays = mine | {"Key": _key(staying), "ExpressionAttributeNames": {"#account": "account_id"}}
        return await transact(self._client, {"Update": remove}, {"ConditionCheck": stays})

    def _linking(self, wallet: Wallet, account_id: str, now_unix_s: int) -> Mapping[str, Any]:
        return {
            "TableName": self._table,
            "Key": _key(wallet),
            "UpdateExpression": "SET #account = :account, #linked = :now REMOVE #ttl",
            "ConditionExpression": "attribute_not_exists(#account)",
            "ExpressionAttributeNames": {"#account": "account_id", "#linked": "linked_at", "#ttl": "ttl"},
            "ExpressionAttributeValues": {":account": text(account_id), ":now": number(now_unix_s)},
        }


def linked_wallet(item: Item) -> LinkedWallet:
    """Return the wallet an item of the wallets table stands for."""
    wallet = wallet_from_text(get_text(item, "wallet"))
    assert wallet is not None, "only wallets are stored"
    return LinkedWallet(
        wallet=wallet,
        account_id=get_text(item, "account_id") or None,
        linked_at_unix_s=get_int(item, "linked_at"),
        claimed_day=get_text(item, "claimed_day") or None,
        claimed_by=get_text(item, "claimed_by") or None,
    )


def _key(wallet: Wallet) -> dict[str, dict[str, str]]:
    return {"wallet": text(str(wallet))}

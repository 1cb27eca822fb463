"""
The `GrantStore` port on DynamoDB: grants stand in the ledger's table, in a book of their own (`acct_…#grants`).

A grant is one transaction: put it unless it is there, move the balance, mark the account. So it happens once or not at
all, and a balance never goes below what is held in it. A balance is opened by its first grant, and has no `ttl`.
"""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from jatevo.adapters.dynamodb.client import DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.items import Item, get_int, get_text, number, text
from jatevo.adapters.dynamodb.ledger import book, put_once
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import SWEEP_SHARDS, TableNames
from jatevo.application.administration.grants import NotEnough
from jatevo.application.ports import Conflict, StoreUnavailable
from jatevo.domain.binding import prepaid_window
from jatevo.domain.grants import Grant
from jatevo.domain.money import MAX_NANO_USD
from jatevo.domain.windows import UNLIMITED_REQUESTS

_BOOK = "grants"
_FAILED = "ConditionalCheckFailed"

_OPEN = {
    "#requests_limit": ("requests_limit", ":unlimited"),
    "#requests_left": ("requests_left", ":unlimited"),
    "#concurrency": ("concurrency_limit", ":unlimited"),
    "#settled": ("settled", ":zero"),
    "#open": ("open", ":empty"),
    "#shard": ("sweep_shard", ":shard"),
}
_MOVED = {
    "#limit": ("budget_limit", ":amount"),
    "#left": ("budget_left", ":amount"),
    "#version": ("limits_version", ":one"),
}


class DynamoGrants:
    """The `GrantStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._names = names

    async def add(self, grant: Grant) -> Grant:
        try:
            await self._client.retried(
                "transact_write_items", TransactItems=[self._once(grant), self._moved(grant), self._marked(grant)]
            )
        except TransactionRefused as refused:
            there, enough, account = refused.reasons
            if there == _FAILED:
                [stored] = await self._query(grant.account_id, grant.id)
                return stored
            if account == _FAILED:
                raise Conflict("there is no such account") from refused
            if enough == _FAILED:
                raise NotEnough from refused
            raise StoreUnavailable(f"the balance was not moved: {refused.reasons}") from refused
        return grant

    async def grants(self, account_id: str) -> Sequence[Grant]:
        found = await self._query(account_id)
        return sorted(found, key=lambda grant: (grant.at_unix_s, grant.id), reverse=True)

    def _once(self, grant: Grant) -> dict[str, Any]:
        item = {
            "book": text(book(grant.account_id, _BOOK)),
            "reservation_id": text(grant.id),
            "amount": number(grant.amount_nano_usd),
            "reason": text(grant.reason),
            "operator": text(grant.operator),
            "at": number(grant.at_unix_s),
            "order": text(grant.order),
        }
        return put_once(self._names.ledger, item)

    def _moved(self, grant: Grant) -> dict[str, Any]:
        key = prepaid_window(grant.account_id)
        opened = [f"{name} = if_not_exists({name}, {value})" for name, (_, value) in _OPEN.items()]
        moved = [f"{name} = if_not_exists({name}, :zero) + {value}" for name, (_, value) in _MOVED.items()]
        condition, bound = "attribute_not_exists(#limit) OR #limit <= :bound", MAX_NANO_USD - grant.amount_nano_usd
        if grant.amount_nano_usd < 0:
            condition, bound = "#left >= :bound", -grant.amount_nano_usd
        return {
            "Update": {
                "TableName": self._names.windows,
                "Key": {"owner": text(key.owner), "period": text(key.period)},
                "UpdateExpression": f"SET {', '.join([*opened, *moved])}",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {name: attribute for name, (attribute, _) in (_OPEN | _MOVED).items()},
                "ExpressionAttributeValues": {
                    ":amount": number(grant.amount_nano_usd),
                    ":bound": number(bound),
                    ":empty": {"M": {}},
                    ":one": number(1),
                    ":shard": text(str(crc32(key.owner.encode()) % SWEEP_SHARDS)),
                    ":unlimited": number(UNLIMITED_REQUESTS),
                    ":zero": number(0),
                },
            }
        }

    def _marked(self, grant: Grant) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._names.accounts,
                "Key": {"account_id": text(grant.account_id)},
                "UpdateExpression": "SET #prepaid = :yes",
                "ConditionExpression": "attribute_exists(#id)",
                "ExpressionAttributeNames": {"#prepaid": "prepaid", "#id": "account_id"},
                "ExpressionAttributeValues": {":yes": {"BOOL": True}},
            }
        }

    async def _query(self, account_id: str, grant_id: str | None = None) -> list[Grant]:
        names, values = {"#book": "book"}, {":book": text(book(account_id, _BOOK))}
        condition = "#book = :book"
        if grant_id is not None:
            names |= {"#id": "reservation_id"}
            values |= {":id": text(grant_id)}
            condition += " AND #id = :id"
        found = all_items(
            self._client,
            "query",
            TableName=self._names.ledger,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        return [_grant(account_id, item) async for item in found]


def _grant(account_id: str, item: Item) -> Grant:
    return Grant(
        id=get_text(item, "reservation_id"),
        account_id=account_id,
        amount_nano_usd=get_int(item, "amount"),
        reason=get_text(item, "reason"),
        operator=get_text(item, "operator"),
        at_unix_s=get_int(item, "at"),
        order=get_text(item, "order"),
    )

"""
The `Ledger` port on DynamoDB: one item for each decision, put only if absent.

The put is the linearization point of a reservation's end. A refused put brings back the decision that stands, so a
repeated delivery, a retry and the sweeper all end up with the same one.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_int, get_optional_int, get_text, number, text
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.domain.calendar import DAY_S, day_start_unix_s, utc_day
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason, Timings
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import WindowKey

_NAMES = {part: tuple(field.name for field in fields(part)) for part in (TokenUsage, Figures)}


class DynamoLedger:
    """The `Ledger` port on DynamoDB. `retention_days` None: entries are kept for ever."""

    def __init__(self, client: DynamoClient, names: TableNames, *, retention_days: int | None = None) -> None:
        self._client = client
        self._table = names.ledger
        self._retention_days = retention_days

    async def decide(self, entry: LedgerEntry) -> LedgerEntry:
        item = self.item(entry)
        try:
            await self._client.retried(
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#id)",
                ExpressionAttributeNames={"#id": "reservation_id"},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionRefused as refused:
            return entry_from_item(refused.item or item)
        return entry

    async def find(self, account_id: str, reservation_id: str) -> LedgerEntry | None:
        """Return the decision about a reservation, as it is now; None while there is none."""
        day = utc_day(reserved_at_ms(reservation_id) // 1000)
        key = {"book": text(book(account_id, day)), "reservation_id": text(reservation_id)}
        answer = await self._client.retried("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else entry_from_item(item)

    async def entries(
        self,
        account_id: str,
        day: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> Sequence[LedgerEntry]:
        found: list[LedgerEntry] = []
        # Ids are made of characters between "-" and "z": these two bounds enclose them all.
        low, high = after or " ", before or "~"
        while len(found) < limit:
            answer = await self._client.retried(
                "query",
                TableName=self._table,
                KeyConditionExpression="#book = :book AND #id BETWEEN :low AND :high",
                ExpressionAttributeNames={"#book": "book", "#id": "reservation_id"},
                ExpressionAttributeValues={
                    ":book": text(book(account_id, day)),
                    ":low": text(low),
                    ":high": text(high),
                },
                Limit=min(1000, limit - len(found) + 2),
                ScanIndexForward=not newest,
                ConsistentRead=True,
            )
            page = [entry_from_item(item) for item in answer.get("Items", [])]
            found += [entry for entry in page if entry.reservation_id not in (after, before)]
            if "LastEvaluatedKey" not in answer:
                break
            last = page[-1].reservation_id
            if newest:
                before = high = last  # it comes again, and is left out
            else:
                low = last + " "
        return found[:limit]

    def item(self, entry: LedgerEntry) -> dict[str, Any]:
        """Return the item that an entry is kept as."""
        item: dict[str, Any] = {
            "book": text(book(entry.account_id, entry.day)),
            "reservation_id": text(entry.reservation_id),
            "outcome": text(entry.outcome),
            "reason": text(entry.reason),
            "reserved": number(entry.reserved_nano_usd),
            "windows": {"L": [text(window_name(key)) for key in entry.windows]},
            "key_id": text(entry.key_id),
            "model": text(entry.model),
            "lane": text(entry.lane),
            "price_version": number(entry.price_version),
            "usage_source": text(entry.usage_source),
            "duration_ms": number(entry.timings.duration_ms),
            "decided_at_ms": number(entry.decided_at_ms),
        }
        if entry.timings.first_token_ms is not None:
            item["first_token_ms"] = number(entry.timings.first_token_ms)
        for part in (entry.usage, entry.figures):
            item |= {name: number(value) for name in _NAMES[type(part)] if (value := getattr(part, name))}
        if entry.money_in is not None and entry.money_in != entry.windows:
            item["money_in"] = {"L": [text(window_name(key)) for key in entry.money_in]}
        if self._retention_days is not None:
            item["ttl"] = number(day_start_unix_s(entry.day) + self._retention_days * DAY_S)
        return item


def put_once(table: str, item: Item) -> dict[str, Any]:
    """Return the part of a transaction that puts an entry unless one of its id is there."""
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#id)",
            "ExpressionAttributeNames": {"#id": "reservation_id"},
        }
    }


def book(account_id: str, day: str) -> str:
    """Return the partition of an account's entries of a day."""
    return f"{account_id}#{day}"


def entry_from_item(item: Item) -> LedgerEntry:
    """Return the entry an item stands for."""
    account_id, _, day = get_text(item, "book").partition("#")
    return LedgerEntry(
        account_id=account_id,
        day=day,
        reservation_id=get_text(item, "reservation_id"),
        outcome=Outcome(get_text(item, "outcome")),
        reason=Reason(get_text(item, "reason")),
        reserved_nano_usd=get_int(item, "reserved"),
        windows=tuple(window_key(value["S"]) for value in item["windows"]["L"]),
        key_id=get_text(item, "key_id"),
        model=get_text(item, "model"),
        lane=get_text(item, "lane"),
        price_version=get_int(item, "price_version"),
        usage=TokenUsage(**{name: get_int(item, name) for name in _NAMES[TokenUsage]}),
        usage_source=UsageSource(get_text(item, "usage_source")),
        figures=Figures(**{name: get_int(item, name) for name in _NAMES[Figures]}),
        timings=Timings(
            duration_ms=get_int(item, "duration_ms"), first_token_ms=get_optional_int(item, "first_token_ms")
        ),
        decided_at_ms=get_int(item, "decided_at_ms"),
        money_in=tuple(window_key(value["S"]) for value in item["money_in"]["L"]) if "money_in" in item else None,
    )


def window_name(key: WindowKey) -> str:
    """Return a window as entries name it."""
    return f"{key.owner}#{key.period}"


def window_key(stored: str) -> WindowKey:
    """Return the window that a name stands for."""
    owner, _, period = stored.partition("#")
    return WindowKey(owner, period)

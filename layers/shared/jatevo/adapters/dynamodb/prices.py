"""
The `PriceStore` port on DynamoDB.

series `state`    one item (`at` 0): the oracle, with `decided_at` for the compare-and-set
series `history`  a line for each decision, by its `decided_at` in ms; expires
series `audit`    the same for operators' changes, and never expires

A decision is one transaction: the state on condition that it is still the one decided from, and its lines, which are
never there already because `decided_at` grows. Documents are JSON of integers and texts: no number ever is a float.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jatevo.adapters.dynamodb.client import DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.items import get_text, number, text
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import StoreUnavailable
from jatevo.application.prices import PriceRecord, Told
from jatevo.domain.calendar import DAY_S
from jatevo.domain.market import Market, Pending, Side
from jatevo.domain.oracle import Oracle, Rate
from jatevo.domain.price_agreement import Standing, Witness
from jatevo.domain.price_average import Average, HourSum

STATE, HISTORY, AUDIT = "state", "history", "audit"
_CONDITION_FAILED = "ConditionalCheckFailed"
_RACED = "TransactionConflict"


class DynamoPrices:
    """The `PriceStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames, *, history_days: int) -> None:
        self._client = client
        self._table = names.prices
        self._history_s = history_days * DAY_S

    async def read(self) -> Oracle:
        answer = await self._client.retried("get_item", TableName=self._table, Key=_key(STATE, 0), ConsistentRead=True)
        item = answer.get("Item")
        return Oracle() if item is None else _oracle(json.loads(get_text(item, "document")))

    async def add(self, record: PriceRecord, *, previous: Oracle) -> bool:
        writes = [self._state(record.oracle, previous), self._line(HISTORY, record.told)]
        if record.told.audited:
            writes.append(self._line(AUDIT, record.told))
        try:
            await self._client.retried("transact_write_items", TransactItems=writes)
        except TransactionRefused as refused:
            if not {_CONDITION_FAILED, _RACED} & set(refused.reasons):
                raise StoreUnavailable(f"the decision was not stored: {refused}") from refused
            return await self.read() == record.oracle
        return True

    async def history(self, *, limit: int, before_ms: int | None = None, audit: bool = False) -> Sequence[Told]:
        condition, names = "#series = :series", {"#series": "series"}
        values = {":series": text(AUDIT if audit else HISTORY)}
        if before_ms is not None:
            condition += " AND #at < :before"
            names["#at"] = "at"
            values[":before"] = number(before_ms)
        answer = await self._client.retried(
            "query",
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
            Limit=limit,
        )
        return [_told(json.loads(get_text(item, "document"))) for item in answer.get("Items", [])]

    def _state(self, oracle: Oracle, previous: Oracle) -> dict[str, Any]:
        item = {
            **_key(STATE, 0),
            "decided_at": number(oracle.at_ms),
            "document": text(_json(asdict(oracle))),
        }
        unchanged: dict[str, Any] = {
            "ConditionExpression": "#decided_at = :previous",
            "ExpressionAttributeNames": {"#decided_at": "decided_at"},
            "ExpressionAttributeValues": {":previous": number(previous.at_ms)},
        }
        absent = {
            "ConditionExpression": "attribute_not_exists(#series)",
            "ExpressionAttributeNames": {"#series": "series"},
        }
        return {"Put": {"TableName": self._table, "Item": item, **(unchanged if previous.at_ms else absent)}}

    def _line(self, series: str, told: Told) -> dict[str, Any]:
        item = {**_key(series, told.at_ms), "document": text(_json(asdict(told)))}
        if series == HISTORY:
            item["ttl"] = number(told.at_ms // 1000 + self._history_s)
        return {"Put": {"TableName": self._table, "Item": item}}


def _key(series: str, at: int) -> dict[str, Any]:
    return {"series": text(series), "at": number(at)}


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _oracle(document: Mapping[str, Any]) -> Oracle:
    market, pending, rate = document["market"], document["market"]["pending"], document["rate"]
    return Oracle(
        **{
            **document,
            "market": Market(
                **{**market, "pending": pending and Pending(**{**pending, "side": Side(pending["side"])})}
            ),
            "rate": rate and Rate(**rate),
            "average": Average(tuple(HourSum(**hour) for hour in document["average"]["hours"])),
            "witnesses": _witnesses(document),
        }
    )


def _told(document: Mapping[str, Any]) -> Told:
    return Told(**{**document, "witnesses": _witnesses(document)})


def _witnesses(document: Mapping[str, Any]) -> tuple[Witness, ...]:
    return tuple(Witness(**{**one, "standing": Standing(one["standing"])}) for one in document["witnesses"])

"""
The `ReportStore` port on DynamoDB: reports of audits stand in the rollups' table, under a name that no account has.

A report is one item, replaced by the next version only. Rows of sums are packed as rollups pack theirs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import get_int, get_text, number, text
from jatevo.adapters.dynamodb.ledger import window_key, window_name
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.day_audits import DayReport
from jatevo.domain.reconciliation import Counter, Difference, Due
from jatevo.domain.rollups import OTHER, Tally, Usage

_ALL_ACCOUNTS = "audit"


class DynamoDayAudits:
    """The `ReportStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames) -> None:
        self._client = client
        self._names = names

    async def report(self, day: str) -> DayReport | None:
        answer = await self._client.retried(
            "get_item", TableName=self._names.rollups, Key=_key(day), ConsistentRead=True
        )
        item = answer.get("Item")
        if item is None:
            return None
        return _unpacked(day, get_int(item, "version"), json.loads(get_text(item, "report")))

    async def advance(self, report: DayReport) -> bool:
        item = {**_key(report.day), "version": number(report.version), "report": text(json.dumps(_packed(report)))}
        try:
            await self._client.retried(
                "put_item",
                TableName=self._names.rollups,
                Item=item,
                ConditionExpression="attribute_not_exists(#version) OR #version = :previous",
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues={":previous": number(report.version - 1)},
            )
        except ConditionRefused:
            return False
        return True

    async def accounts(self, after: str | None, limit: int) -> tuple[Sequence[str], str | None]:
        start = {} if after is None else {"ExclusiveStartKey": {"account_id": text(after)}}
        answer = await self._client.retried(
            "scan",
            TableName=self._names.accounts,
            ProjectionExpression="#id",
            ExpressionAttributeNames={"#id": "account_id"},
            Limit=limit,
            **start,
        )
        last = answer.get("LastEvaluatedKey")
        found = [get_text(item, "account_id") for item in answer.get("Items", [])]
        return found, None if last is None else get_text(last, "account_id")


def _key(day: str) -> dict[str, Any]:
    return {"account_id": text(_ALL_ACCOUNTS), "period": text(day)}


def _packed(report: DayReport) -> Mapping[str, Any]:
    return {
        "done_to": report.done_to,
        "complete": report.complete,
        "accounts": report.accounts,
        "busy": report.busy,
        "windows": report.windows,
        "entries": report.entries,
        "difference_count": report.difference_count,
        "differences": [[window_name(one.window), one.counter, one.expected, one.found] for one in report.differences],
        "lanes": {window_name(key): astuple(due) for key, due in report.lanes.items()},
        "models": {usage.model: astuple(tally) for usage, tally in report.tallies.items()},
    }


def _unpacked(day: str, version: int, said: Mapping[str, Any]) -> DayReport:
    return DayReport(
        day=day,
        version=version,
        done_to=said["done_to"],
        complete=said["complete"],
        accounts=said["accounts"],
        busy=said["busy"],
        windows=said["windows"],
        entries=said["entries"],
        difference_count=said["difference_count"],
        differences=tuple(
            Difference(window_key(name), Counter(counter), expected, found)
            for name, counter, expected, found in said["differences"]
        ),
        lanes={window_key(name): Due(*values) for name, values in said["lanes"].items()},
        tallies={Usage(OTHER, model): Tally(*values) for model, values in said["models"].items()},
    )

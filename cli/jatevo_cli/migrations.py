"""
Migrations: what is stored, brought from one version of the tables to the next, step by step.

A step looks at items page by page and changes each only if it is not yet as it should be, so it may be repeated and cut
short anywhere. How far it is stands beside the catalogue (`kind` `schema`): after every page, so that the next run goes
on there. Gateways of both versions may run meanwhile: a step changes nothing that either of them relies on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from botocore.exceptions import ClientError

from jatevo.adapters.dynamodb.schema import SWEEP_SHARDS

_KEY = {"kind": {"S": "schema"}, "version": {"N": "0"}}
_PAGE = 500

type Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step: `table` is looked through, `key` are its key's attributes; `change` returns the arguments of the update
    that an item needs, or None.
    """

    purpose: str
    table: str
    key: tuple[str, ...]
    change: Callable[[Item], Mapping[str, Any] | None]


def _shard_by_owner(item: Item) -> Mapping[str, Any] | None:
    shard = str(crc32(item["owner"]["S"].encode()) % SWEEP_SHARDS)
    if item.get("sweep_shard", {}).get("S") == shard:
        return None
    return {
        "UpdateExpression": "SET #shard = :shard",
        "ConditionExpression": "attribute_exists(#owner)",
        "ExpressionAttributeNames": {"#shard": "sweep_shard", "#owner": "owner"},
        "ExpressionAttributeValues": {":shard": {"S": shard}},
    }


STEPS = (
    Step(
        "every window is found by the sweeper, in the shard of its owner",
        "windows",
        ("owner", "period"),
        _shard_by_owner,
    ),
)
"""The version of the tables is how many of these are taken. One that was released never changes: another follows it."""


class Migrations:
    """Takes steps. `say` tells a person how far it is."""

    def __init__(self, client: Any, names: Mapping[str, str], *, say: Callable[[str], None]) -> None:
        self._client = client
        self._names = names
        self._say = say

    def run(self) -> int:
        """Take every step that is left, and return the version reached."""
        taken, start = self._progress()
        for number, step in enumerate(STEPS[taken:], taken + 1):
            self._take(number, step, start)
            start = None
            self._store(number, None)
            self._say(f"step {number} is taken: {step.purpose}")
        return max(taken, len(STEPS))

    def _take(self, number: int, step: Step, start: Item | None) -> None:
        seen = changed = 0
        while True:
            after = {} if start is None else {"ExclusiveStartKey": start}
            page = self._client.scan(TableName=self._names[step.table], Limit=_PAGE, ConsistentRead=True, **after)
            for item in page["Items"]:
                changed += self._changed(step, item)
            seen += len(page["Items"])
            self._say(f"step {number}: {seen} items seen, {changed} changed")
            start = page.get("LastEvaluatedKey")
            if start is None:
                return
            self._store(number - 1, start)

    def _changed(self, step: Step, item: Item) -> bool:
        update = step.change(item)
        if update is None:
            return False
        key = {name: item[name] for name in step.key}
        try:
            self._client.update_item(TableName=self._names[step.table], Key=key, **update)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False  # it has gone meanwhile
            raise
        return True

    def _progress(self) -> tuple[int, Item | None]:
        item = self._client.get_item(TableName=self._names["catalogue"], Key=_KEY, ConsistentRead=True).get("Item", {})
        start = item.get("start", {}).get("M")
        return int(item.get("taken", {"N": "0"})["N"]), start

    def _store(self, taken: int, start: Item | None) -> None:
        item = {**_KEY, "taken": {"N": str(taken)}} | ({} if start is None else {"start": {"M": start}})
        self._client.put_item(TableName=self._names["catalogue"], Item=item)

"""
The operations, as the methods of a boto3 client: one at a time, each whole or not at all.

Answers share what they hold with the tables: nobody writes into an answer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jatevo_testing.engine_model import expressions, reads
from jatevo_testing.engine_model.conditions import check, holds
from jatevo_testing.engine_model.errors import ConditionFailed, Invalid, cancelled, client_error, invalid, refused
from jatevo_testing.engine_model.paths import Given
from jatevo_testing.engine_model.tables import Place, Table
from jatevo_testing.engine_model.updates import updated
from jatevo_testing.engine_model.values import Item, bytes_of, stored_item

_EXPRESSIONS = (
    "ConditionExpression",
    "UpdateExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
)
_MOST_IN_A_TRANSACTION = 100
_TOKENS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Write:
    """What a request would do to one item: checked and computed, not done."""

    table: Table
    place: Place
    before: Item | None
    after: Item | None

    def do(self) -> None:
        self.table.write(self.place, self.after)


class MemoryEngine:
    """
    See the module. `is_stale` may let a read that does not ask for consistency see an item as it was before its last
    write: it is asked for each such read, with the milliseconds since that write. `on_write` is told of every write.
    """

    def __init__(self, definitions: Sequence[Mapping[str, Any]] = ()) -> None:
        self.tables: dict[str, Table] = {}
        self.now_ms: Callable[[], int] = lambda: 0
        self.is_stale: Callable[[int], bool] = lambda _age_ms: False
        self.on_write: Callable[[Table, Item | None], None] = lambda _table, _item: None
        self._previous: dict[tuple[str, Place], tuple[Item | None, int]] = {}
        self._tokens: dict[str, Any] = {}
        for definition in definitions:
            self.create_table(**definition)

    def create_table(self, **definition: Any) -> dict[str, Any]:
        self.tables[definition["TableName"]] = Table(definition)
        return {"TableDescription": {"TableName": definition["TableName"], "TableStatus": "ACTIVE"}}

    def close(self) -> None:
        """Do nothing: there is no connection."""

    # Reads.

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        def read(table: Table, given: Given) -> dict[str, Any]:
            place = table.place(arguments["Key"])
            item = table.rows.get(place)
            if not arguments.get("ConsistentRead"):
                before, written_ms = self._previous.get((table.name, place), (item, 0))
                item = before if self.is_stale(self.now_ms() - written_ms) else item
            shown = arguments.get("ProjectionExpression")
            answer = {} if item is None else {"Item": reads.projected(item, shown, given)}
            consistent = arguments.get("ConsistentRead", False)
            return self._capacity(answer, arguments, lambda: _read_units(bytes_of(item or {}), consistent=consistent))

        return self._answered("GetItem", arguments, read)

    def query(self, **arguments: Any) -> dict[str, Any]:
        return self._answered("Query", arguments, lambda table, given: reads.query(table, arguments, given))

    def scan(self, **arguments: Any) -> dict[str, Any]:
        return self._answered("Scan", arguments, lambda table, given: reads.scan(table, arguments, given))

    # Writes.

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        return self._written("PutItem", arguments, _put)

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        return self._written("UpdateItem", arguments, _update)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        return self._written("DeleteItem", arguments, _delete)

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        operation, parts = "TransactWriteItems", arguments["TransactItems"]
        token = arguments.get("ClientRequestToken")
        if token is not None and token in self._tokens:
            if self._tokens[token] != parts:
                raise client_error(operation, "IdempotentParameterMismatchException")
            return {}
        writes = self._transaction(operation, parts)
        for write in writes:
            self._do(write)
        if token is not None:
            self._remember(token, parts)
        return {}

    def _transaction(self, operation: str, parts: Sequence[Mapping[str, Any]]) -> list[Write]:
        """Return what a transaction does. Raises ClientError when it does nothing."""
        if not 1 <= len(parts) <= _MOST_IN_A_TRANSACTION:
            raise invalid(operation, "a transaction has 1 to 100 parts")
        touched: set[tuple[str, Place]] = set()
        writes: list[Write] = []
        reasons: list[dict[str, Any]] = []
        for part in parts:
            [(verb, arguments)] = part.items()
            table, given = self._prepared(operation, arguments)
            try:
                key = arguments["Key"] if "Key" in arguments else table.keys.of(arguments["Item"])
                place = table.place(key)
            except (Invalid, KeyError) as error:
                raise invalid(operation, str(error)) from None
            if (table.name, place) in touched:
                raise invalid(operation, "Transaction request cannot include multiple operations on one item")
            touched.add((table.name, place))
            reasons.append(_reason(lambda: writes.append(_PARTS[verb](table, arguments, given)), arguments))  # noqa: B023 - called at once
        if any(reason["Code"] != "None" for reason in reasons):
            raise cancelled(operation, reasons)
        return writes

    def _answered(
        self, operation: str, arguments: Mapping[str, Any], read: Callable[[Table, Given], dict[str, Any]]
    ) -> dict[str, Any]:
        table, given = self._prepared(operation, arguments)
        try:
            return read(table, given)
        except Invalid as error:
            raise invalid(operation, str(error)) from None

    def _written(
        self, operation: str, arguments: Mapping[str, Any], plan: Callable[[Table, Any, Given], Write]
    ) -> dict[str, Any]:
        table, given = self._prepared(operation, arguments)
        try:
            write = plan(table, arguments, given)
        except Invalid as error:
            raise invalid(operation, str(error)) from None
        except ConditionFailed as failed:
            old = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise refused(operation, failed.item if old else None) from None
        self._do(write)
        answer = _returned(write, arguments.get("ReturnValues", "NONE"))
        return self._capacity(answer, arguments, lambda: _write_units(write))

    def _do(self, write: Write) -> None:
        if write.after is not write.before:
            self._previous[write.table.name, write.place] = write.before, self.now_ms()
            write.do()
            self.on_write(write.table, write.after)

    def _prepared(self, operation: str, arguments: Mapping[str, Any]) -> tuple[Table, Given]:
        table = self.tables.get(arguments["TableName"])
        if table is None:
            raise client_error(operation, "ResourceNotFoundException", "Cannot do operations on a non-existent table")
        given = Given(arguments.get("ExpressionAttributeNames", {}), arguments.get("ExpressionAttributeValues", {}))
        used: set[str] = set()
        for name in _EXPRESSIONS:
            if name in arguments:
                used |= expressions.placeholders(arguments[name])
        if not (given.names.keys() | given.values.keys()) <= used:
            raise invalid(operation, "a placeholder is not used in any expression")
        return table, given

    def _remember(self, token: str, parts: Any) -> None:
        self._tokens[token] = parts
        if len(self._tokens) > _TOKENS_KEPT:
            del self._tokens[next(iter(self._tokens))]

    @staticmethod
    def _capacity(answer: dict[str, Any], arguments: Mapping[str, Any], units: Callable[[], float]) -> dict[str, Any]:
        if arguments.get("ReturnConsumedCapacity", "NONE") != "NONE":
            answer["ConsumedCapacity"] = {"TableName": arguments["TableName"], "CapacityUnits": units()}
        return answer


def _put(table: Table, arguments: Mapping[str, Any], given: Given) -> Write:
    item = stored_item(arguments["Item"])
    table.check(item)
    place = table.keys.place(item)
    before = table.rows.get(place)
    _unless_refused(arguments, before, given)
    return Write(table, place, before, item)


def _update(table: Table, arguments: Mapping[str, Any], given: Given) -> Write:
    place = table.place(arguments["Key"])
    before = table.rows.get(place)
    update = expressions.update(arguments["UpdateExpression"]) if "UpdateExpression" in arguments else None
    _unless_refused(arguments, before, given)
    base = stored_item(arguments["Key"]) if before is None else before
    after = base if update is None else updated(update, base, given, table.key_names)
    table.check(after)
    return Write(table, place, before, after)


def _keyed(table: Table, arguments: Mapping[str, Any], given: Given, *, stays: bool) -> Write:
    place = table.place(arguments["Key"])
    before = table.rows.get(place)
    _unless_refused(arguments, before, given)
    return Write(table, place, before, before if stays else None)


_delete = partial(_keyed, stays=False)
_PARTS: Mapping[str, Callable[[Table, Any, Given], Write]] = {
    "Put": _put,
    "Update": _update,
    "Delete": _delete,
    "ConditionCheck": partial(_keyed, stays=True),
}


def _unless_refused(arguments: Mapping[str, Any], before: Item | None, given: Given) -> None:
    if "ConditionExpression" not in arguments:
        return
    condition = expressions.condition(arguments["ConditionExpression"])
    check(condition, given)
    if not holds(condition, before or {}, given):
        raise ConditionFailed(before)


def _reason(plan: Callable[[], None], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a part of a transaction, and return why it cannot be: `None` for one that can."""
    try:
        plan()
    except ConditionFailed as failed:
        reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
        if failed.item is not None and arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            reason["Item"] = failed.item
        return reason
    except Invalid as error:
        return {"Code": "ValidationError", "Message": str(error)}
    return {"Code": "None"}


def _returned(write: Write, wanted: str) -> dict[str, Any]:
    if wanted == "NONE":
        return {}
    if wanted not in {"ALL_OLD", "ALL_NEW"}:
        raise NotImplementedError(f"ReturnValues {wanted}")
    item = write.before if wanted == "ALL_OLD" else write.after
    return {} if item is None else {"Attributes": item}


def _write_units(write: Write) -> float:
    """Return what a write costs: the larger of both items, in kilobytes; and as much for each index it moves in."""
    units = max(1, *(math.ceil(bytes_of(item or {}) / 1024) for item in (write.before, write.after)))
    for index in write.table.indexes.values():
        sides = [item for item in (write.before, write.after) if item is not None and index.keys.there(item)]
        shown = [index.shown(item) for item in sides]
        if len(shown) == 2 and shown[0] == shown[1]:
            continue
        moved = len(shown) == 2 and index.keys.of(shown[0]) != index.keys.of(shown[1])
        sizes = [max(1, math.ceil(bytes_of(item) / 1024)) for item in shown]
        units += sum(sizes) if moved else max(sizes, default=0)
    return float(units)


def _read_units(size: int, *, consistent: bool) -> float:
    return max(1, math.ceil(size / 4096)) * (1.0 if consistent else 0.5)

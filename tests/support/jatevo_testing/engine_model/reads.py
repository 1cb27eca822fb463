"""Query and Scan: key conditions, filters, projections and pages. Source: the API reference."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jatevo_testing.engine_model import expressions
from jatevo_testing.engine_model.conditions import check, holds, operand
from jatevo_testing.engine_model.errors import Invalid
from jatevo_testing.engine_model.expressions import Between, Both, Call, Compare, Path, Tree
from jatevo_testing.engine_model.paths import Draft, Given, found
from jatevo_testing.engine_model.tables import Index, Keys, Table
from jatevo_testing.engine_model.values import Item, Value, bytes_of, comparable

_PAGE_BYTES = 1024 * 1024


def query(table: Table, arguments: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """Answer a query. Raises Invalid."""
    source = _source(table, arguments)
    keys = source.keys
    condition = expressions.condition(arguments["KeyConditionExpression"])
    check(condition, given)
    wanted, within = _split(condition, keys, given)
    places = source.rows.partition(comparable(wanted))
    if within is not None:
        places = [place for place in places if holds(within, _at(source, place), given)]
    if not arguments.get("ScanIndexForward", True):
        places.reverse()
    start = arguments.get("ExclusiveStartKey")
    if start is not None:
        last = _place_of(source, table, start)
        places = (
            places[places.index(last) + 1 :]
            if last in places
            else [place for place in places if (place > last) == arguments.get("ScanIndexForward", True)]
        )
    return _page(table, source, places, arguments, given)


def scan(table: Table, arguments: Mapping[str, Any], given: Given) -> dict[str, Any]:
    """Answer a scan. Raises Invalid."""
    source = _source(table, arguments)
    places = list(source.rows.places())
    start = arguments.get("ExclusiveStartKey")
    if start is not None:
        last = _place_of(source, table, start)
        if last not in places:
            raise NotImplementedError("a scan that goes on after an item that is gone")
        places = places[places.index(last) + 1 :]
    return _page(table, source, places, arguments, given)


def projected(item: Item, text: str | None, given: Given) -> Item:
    """Return what a projection shows of an item."""
    if text is None:
        return item
    shown = Draft({})
    for path in expressions.projection(text):
        parts = given.parts(path)
        if len(parts) > 1:
            raise NotImplementedError("projections of what is inside of an attribute")
        value = found(item, parts)
        if value is not None:
            shown.put(parts, value)
    return shown.item


def _source(table: Table, arguments: Mapping[str, Any]) -> Table | Index:
    name = arguments.get("IndexName")
    if name is None:
        return table
    if name not in table.indexes:
        raise Invalid("The table does not have the specified index")
    if arguments.get("ConsistentRead"):
        raise Invalid("Consistent reads are not supported on global secondary indexes")
    return table.indexes[name]


def _at(source: Table | Index, place: tuple[Any, ...]) -> Item:
    item = source.rows.get(place)
    assert item is not None, "every place has an item"
    return item


def _place_of(source: Table | Index, table: Table, key: Item) -> tuple[Any, ...]:
    if isinstance(source, Index):
        return (*source.keys.place(key), *table.keys.place(key))
    return table.place(key)


def _split(condition: Tree, keys: Keys, given: Given) -> tuple[Value, Tree | None]:
    """Return the wanted partition, and the condition on sort keys if there is one. Raises Invalid."""
    sides: list[Tree] = [condition.left, condition.right] if isinstance(condition, Both) else [condition]
    wanted: Value | None = None
    within: Tree | None = None
    for side in sides:
        name = _subject(side, given)
        if name == keys.hash and isinstance(side, Compare) and side.sign == "=" and wanted is None:
            wanted = operand(side.right, {}, given)
        elif name is not None and name == keys.range and within is None:
            within = side
        else:
            raise Invalid("Query key condition not supported")
    if wanted is None or keys.types[keys.hash] not in wanted:
        raise Invalid("Query condition missed key schema element")
    return wanted, within


def _subject(tree: Tree, given: Given) -> str | None:
    match tree:
        case Compare(sign, Path() as path, _) if sign != "<>":
            return str(given.parts(path)[0])
        case Between(Path() as path, _, _) | Call("begins_with", (Path() as path, _)):
            return str(given.parts(path)[0])
    return None


def _page(
    table: Table, source: Table | Index, places: Iterable[tuple[Any, ...]], arguments: Mapping[str, Any], given: Given
) -> dict[str, Any]:
    """Return one page: as many items as are asked for, or make a megabyte."""
    passes = _filter(arguments.get("FilterExpression"), given)
    limit, shown = arguments.get("Limit"), arguments.get("ProjectionExpression")
    items: list[Item] = []
    scanned, size, last = 0, 0, None
    places = list(places)
    for place in places:
        item = _at(source, place)
        scanned += 1
        size += bytes_of(item)
        if passes(item):
            items.append(projected(item, shown, given))
        if scanned == limit or size > _PAGE_BYTES:
            last = item
            break
    answer: dict[str, Any] = {"Count": len(items), "ScannedCount": scanned}
    if arguments.get("Select") != "COUNT":
        answer["Items"] = items
    if last is not None:
        answer["LastEvaluatedKey"] = table.keys.of(last) | (source.keys.of(last) if source is not table else {})
    return answer


def _filter(text: str | None, given: Given) -> Callable[[Item], bool]:
    if text is None:
        return lambda _: True
    tree = expressions.condition(text)
    check(tree, given)
    return lambda item: holds(tree, item, given)

"""
Strategies for requests to DynamoDB, made of what the product's own requests are made of, and combined at random.

Every request names its attributes and values by placeholders, as the product does.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from jatevo_testing.engine_model.expressions import placeholders

OWNERS = ("a", "b")
PERIODS = ("2026-11-23", "2026-11-24", "always")
COUNTERS = ("left", "settled", "sweep_at")
ENTRIES = ("r1", "r2", "0-r")

_numbers = st.integers(-3, 6)
_edges = st.sampled_from(["9" * 38, "-" + "9" * 38, "1" + "0" * 38, "007", "1.50", "0.1", "-0"])
_shards = st.sampled_from(["0", "1"])
_number_values = st.builds(lambda number: {"N": str(number)}, _numbers) | st.builds(lambda text: {"N": text}, _edges)
_binaries = st.builds(lambda data: {"B": data}, st.binary(min_size=1, max_size=3))
_texts = st.builds(lambda text: {"S": text}, st.sampled_from(["", "x", "xy", "é"]))
_sets = st.builds(lambda refs: {"SS": sorted(refs)}, st.sets(st.sampled_from(["k1", "k2", "*"]), min_size=1))
_maps = st.builds(lambda entries: {"M": entries}, st.dictionaries(st.sampled_from(ENTRIES), _binaries, max_size=3))
_flags = st.builds(lambda flag: {"BOOL": flag}, st.booleans())
_lists = st.builds(lambda names: {"L": names}, st.lists(_texts, max_size=2))
_of = {
    "left": _number_values,
    "settled": _number_values,
    "sweep_at": st.builds(lambda number: {"N": str(number)}, _numbers),
    "sweep_shard": st.builds(lambda text: {"S": text}, _shards),
    "open": _maps,
    "blocked": _sets,
    "told": _texts,
    "flag": _flags,
    "windows": _lists,
}
ATTRIBUTES = tuple(_of)
_values = st.sampled_from(ATTRIBUTES).flatmap(_of.__getitem__)
_names = st.sampled_from(ATTRIBUTES)
_keys = st.builds(
    lambda owner, period: {"owner": {"S": owner}, "period": {"S": period}},
    st.sampled_from(OWNERS),
    st.sampled_from(PERIODS),
)


@dataclass
class Words:
    """Gives out placeholders."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def name(self, *parts: str) -> str:
        for part in parts:
            self.names[f"#{part.replace('-', '_')}"] = part
        return ".".join(f"#{part.replace('-', '_')}" for part in parts)

    def value(self, value: Any) -> str:
        said = f":v{len(self.values)}"
        self.values[said] = value
        return said

    def arguments(self, expressions: dict[str, Any]) -> dict[str, Any]:
        """Return what the placeholders of a request's expressions stand for, and of no others."""
        used = set[str]().union(*(placeholders(said) for said in expressions.values() if isinstance(said, str)))
        names = {said: name for said, name in self.names.items() if said in used}
        values = {said: value for said, value in self.values.items() if said in used}
        return {
            **({"ExpressionAttributeNames": names} if names else {}),
            **({"ExpressionAttributeValues": values} if values else {}),
        }


@st.composite
def _paths(draw: st.DrawFn, words: Words) -> str:
    if draw(st.integers(0, 3)) == 0:
        return words.name("open", draw(st.sampled_from(ENTRIES)))
    return words.name(draw(_names))


@st.composite
def _predicates(draw: st.DrawFn, words: Words) -> str:
    path = draw(_paths(words))
    sign = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    kind = draw(st.integers(0, 8))
    if kind <= 1:
        return f"attribute_{'not_' * kind}exists({path})"
    if kind == 2:
        return f"contains({path}, {words.value(draw(_texts | _number_values | st.just({'S': 'k1'})))})"
    if kind == 3:
        return f"size({path}) {sign} {words.value(draw(_number_values))}"
    if kind == 4:
        return f"size({words.name('open')}) {sign} {words.name('left')}"
    if kind == 5:
        return f"begins_with({path}, {words.value(draw(_texts))})"
    if kind == 6:
        low, high = sorted([draw(_numbers), draw(_numbers)])
        return f"{path} BETWEEN {words.value({'N': str(low)})} AND {words.value({'N': str(high)})}"
    if kind == 7:
        # What has no order is compared for equality only: engines differ in what they make of the rest.
        among = ATTRIBUTES if sign in {"=", "<>"} else COUNTERS
        left, right = draw(st.permutations(among))[:2]
        return f"{words.name(left)} {sign} {words.name(right)}"
    value = draw(_number_values | _texts | _binaries if sign not in {"=", "<>"} else _values)
    return f"{path} {sign} {words.value(value)}"


@st.composite
def conditions(draw: st.DrawFn, words: Words, deep: int = 2) -> str:
    """Draw a condition or filter."""
    kind = draw(st.integers(0, 3)) if deep else 0
    if kind == 1:
        return f"NOT ({draw(conditions(words, deep - 1))})"
    if kind >= 2:
        sides = [draw(conditions(words, deep - 1)) for _ in range(2)]
        return f"({sides[0]}) {'AND' if kind == 2 else 'OR'} {sides[1]}"
    return draw(_predicates(words))


@st.composite
def _sources(draw: st.DrawFn, words: Words, name: str) -> str:
    """Draw the right side of an assignment."""
    kind = draw(st.integers(0, 5))
    sign = draw(st.sampled_from(["+", "-"]))
    if name in COUNTERS and kind <= 1:
        return f"{words.name(name)} {sign} {words.value(draw(_number_values))}"
    if name in COUNTERS and kind == 2:
        return (
            f"if_not_exists({words.name(name)}, {words.value({'N': '0'})}) {sign} {words.value(draw(_number_values))}"
        )
    if kind == 3:
        return f"if_not_exists({words.name(name)}, {words.value(draw(_of[name]))})"
    if kind == 4 and name in COUNTERS:
        return words.name(draw(st.sampled_from(COUNTERS)))
    return words.value(draw(_of[name]))


@st.composite
def updates(draw: st.DrawFn, words: Words) -> str:
    """Draw an update: each attribute at most once, now and then with an overlap or a wrong type."""
    names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    said: dict[str, list[str]] = {}
    for name in names:
        verb = draw(st.sampled_from(["SET", "SET", "SET", "REMOVE", "ADD", "DELETE"]))
        if name == "open" and verb == "SET" and draw(st.booleans()):
            path = words.name("open", draw(st.sampled_from(ENTRIES)))
            said.setdefault(verb, []).append(f"{path} = {words.value(draw(_binaries))}")
        elif verb == "SET":
            said.setdefault(verb, []).append(f"{words.name(name)} = {draw(_sources(words, name))}")
        elif verb == "REMOVE":
            said.setdefault(verb, []).append(words.name(name))
        elif verb == "ADD" and name in COUNTERS:
            said.setdefault(verb, []).append(f"{words.name(name)} {words.value(draw(_number_values))}")
        else:
            said.setdefault(verb, []).append(f"{words.name(name)} {words.value(draw(_sets))}")
    return " ".join(f"{verb} {', '.join(actions)}" for verb, actions in said.items())


@st.composite
def _endings(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw the removal of an entry. Only where there is a map: without one the real engines do less than DynamoDB."""
    words = Words()
    there = words.name("open", *draw(st.sampled_from([(), *((entry,) for entry in ENTRIES)])))
    arguments = {
        "UpdateExpression": f"REMOVE {words.name('open', draw(st.sampled_from(ENTRIES)))}",
        "ConditionExpression": f"attribute_exists({there})",
    }
    return "update_item", {"Key": draw(_keys), "ReturnValues": "ALL_NEW", **arguments, **words.arguments(arguments)}


@st.composite
def _conditional(draw: st.DrawFn, words: Words) -> dict[str, Any]:
    if draw(st.booleans()):
        return {}
    more = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if draw(st.booleans()) else {}
    return {"ConditionExpression": draw(conditions(words)), **more}


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an item as the table holds it."""
    names = draw(st.lists(_names, max_size=6, unique=True))
    return {**draw(_keys), **{name: draw(_of[name]) for name in names}}


@st.composite
def _writes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    words = Words()
    kind = draw(st.sampled_from(["put_item", "update_item", "update_item", "update_item", "delete_item"]))
    arguments: dict[str, Any] = draw(_conditional(words))
    if kind == "put_item":
        arguments["Item"] = draw(items())
    else:
        arguments["Key"] = draw(_keys)
    if kind == "update_item":
        arguments["UpdateExpression"] = draw(updates(words))
    arguments |= words.arguments(arguments)
    back = "ALL_NEW" if kind == "update_item" else "ALL_OLD"
    return kind, {**arguments, "ReturnValues": draw(st.sampled_from(["NONE", back]))}


@st.composite
def _transactions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        words = Words()
        verb = draw(st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"]))
        part: dict[str, Any] = draw(_conditional(words)) if verb != "ConditionCheck" else {}
        if verb == "ConditionCheck":
            part["ConditionExpression"] = draw(conditions(words))
        if verb == "Put":
            part["Item"] = draw(items())
        else:
            part["Key"] = draw(_keys)
        if verb == "Update":
            part["UpdateExpression"] = draw(updates(words))
        parts.append({verb: part | words.arguments(part)})
    return "transact_write_items", {"TransactItems": parts}


@st.composite
def _gets(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    words = Words()
    shown = draw(st.lists(_names, max_size=3, unique=True))
    projection = {"ProjectionExpression": ", ".join(words.name(name) for name in shown)} if shown else {}
    return "get_item", {"Key": draw(_keys), "ConsistentRead": True, **projection, **words.arguments(projection)}


@st.composite
def _queries(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    words = Words()
    condition = f"{words.name('owner')} = {words.value({'S': draw(st.sampled_from(OWNERS))})}"
    within = draw(st.sampled_from(["", "", "=", "<", "<=", ">", ">=", "between", "begins"]))
    period = words.name("period") if within else ""
    periods = sorted(draw(st.sampled_from(PERIODS)) for _ in range((within != "") + (within == "between")))
    values = [words.value({"S": period}) for period in periods]
    if within == "between":
        condition += f" AND {period} BETWEEN {values[0]} AND {values[1]}"
    elif within == "begins":
        condition += f" AND begins_with({period}, {values[0]})"
    elif within:
        condition += f" AND {period} {within} {values[0]}"
    arguments: dict[str, Any] = {"KeyConditionExpression": condition, "ConsistentRead": True}
    if draw(st.booleans()):
        arguments["FilterExpression"] = draw(_filters(words))
    if draw(st.booleans()):
        arguments["Limit"] = draw(st.integers(1, 3))
    return "query", {**arguments, "ScanIndexForward": draw(st.booleans()), **words.arguments(arguments)}


@st.composite
def _filters(draw: st.DrawFn, words: Words) -> str:
    return draw(conditions(words, 1))


@st.composite
def _sweeps(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    words = Words()
    condition = f"{words.name('sweep_shard')} = {words.value({'S': draw(_shards)})}"
    condition += f" AND {words.name('sweep_at')} < {words.value({'N': str(draw(_numbers))})}"
    arguments: dict[str, Any] = {"IndexName": "sweep", "KeyConditionExpression": condition}
    if draw(st.booleans()):
        arguments["Limit"] = draw(st.integers(1, 3))
    return "query", {**arguments, **words.arguments(arguments)}


@st.composite
def _scans(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    words = Words()
    arguments: dict[str, Any] = {"FilterExpression": draw(_filters(words)), "ConsistentRead": True}
    if draw(st.booleans()):
        arguments["ProjectionExpression"] = f"{words.name('owner')}, {words.name('period')}, {words.name('open')}"
    return "scan", {**arguments, **words.arguments(arguments)}


requests = _writes() | _writes() | _endings() | _transactions() | _gets() | _queries() | _sweeps() | _scans()
"""Whatever may be asked of one table that is keyed and indexed as that of the windows is."""

"""
What an update makes of an item. Source: the developer guide, *Update expressions*.

All right sides are taken of the item as it was; then everything is written, or nothing.
"""

from jatevo_testing.engine_model.errors import Invalid
from jatevo_testing.engine_model.expressions import Call, Path, Sum, Tree, Update
from jatevo_testing.engine_model.expressions import Given as Named
from jatevo_testing.engine_model.paths import Draft, Given, Parts, found, overlap
from jatevo_testing.engine_model.values import Item, Value, kind, number, number_of, plus, stored

_WRONG_TYPE = "An operand in the update expression has an incorrect data type"


def updated(update: Update, item: Item, given: Given, keys: frozenset[str]) -> dict[str, Value]:
    """Return an item after an update. `keys`: the attributes that no update may touch. Raises Invalid."""
    places = [(verb, given.parts(where), what) for verb, where, what in update.actions]
    _check(places, keys)
    writes = [
        (verb, parts, None if what is None else _result(verb, parts, what, item, given)) for verb, parts, what in places
    ]
    draft = Draft(item)
    # Places in lists are those of the item as it was: the last ones go first.
    for _, parts, value in sorted(writes, key=_last_place, reverse=True):
        if value is None:
            draft.remove(parts)
        else:
            draft.put(parts, value)
    return draft.item


def _last_place(write: tuple[str, Parts, Value | None]) -> int:
    last = write[1][-1]
    return last if isinstance(last, int) and write[2] is None else -1


def _check(places: list[tuple[str, Parts, Tree | None]], keys: frozenset[str]) -> None:
    for at, (verb, parts, _) in enumerate(places):
        if parts[0] in keys:
            raise Invalid(f"Cannot update attribute {parts[0]}. This attribute is part of the key")
        if verb in {"ADD", "DELETE"} and len(parts) > 1:
            raise Invalid(f"{verb} works on top-level attributes only")
        if any(overlap(parts, other) for _, other, _ in places[at + 1 :]):
            raise Invalid("Two document paths overlap with each other")


def _result(verb: str, parts: Parts, what: Tree, item: Item, given: Given) -> Value | None:
    """Return what is to stand at a place; None: nothing."""
    value = stored(_operand(what, item, given))
    if verb == "SET":
        return value
    before = found(item, parts)
    return _added(before, value) if verb == "ADD" else _deleted(before, value)


def _operand(tree: Tree, item: Item, given: Given) -> Value:
    match tree:
        case Named(name):
            return given.value(name)
        case Path():
            value = found(item, given.parts(tree))
            if value is None:
                raise Invalid("The provided expression refers to an attribute that does not exist in the item")
            return value
        case Sum(sign, left, right):
            sides = _operand(left, item, given), _operand(right, item, given)
            if any(kind(side) != "N" for side in sides):
                raise Invalid(_WRONG_TYPE)
            one, other = (number_of(side["N"]) for side in sides)
            return number(plus(one, sign * other))
        case Call("if_not_exists", (Path() as where, otherwise)):
            value = found(item, given.parts(where))
            return _operand(otherwise, item, given) if value is None else value
        case Call("list_append", (left, right)):
            lists = _operand(left, item, given), _operand(right, item, given)
            if any(kind(side) != "L" for side in lists):
                raise Invalid(_WRONG_TYPE)
            return {"L": [*lists[0]["L"], *lists[1]["L"]]}
    raise Invalid("Invalid operand of an update")


def _added(before: Value | None, more: Value) -> Value:
    of = kind(more)
    if of not in {"N", "SS", "NS", "BS"}:
        raise Invalid("Incorrect operand type for operator or function; operator: ADD")
    if before is None:
        return more
    if kind(before) != of:
        raise Invalid(_WRONG_TYPE)
    if of == "N":
        return number(plus(number_of(before["N"]), number_of(more["N"])))
    return {of: [*before[of], *(one for one in more[of] if one not in before[of])]}


def _deleted(before: Value | None, less: Value) -> Value | None:
    of = kind(less)
    if of not in {"SS", "NS", "BS"}:
        raise Invalid("Incorrect operand type for operator or function; operator: DELETE")
    if before is None:
        return None
    if kind(before) != of:
        raise Invalid(_WRONG_TYPE)
    left = [one for one in before[of] if one not in less[of]]
    return {of: left} if left else None

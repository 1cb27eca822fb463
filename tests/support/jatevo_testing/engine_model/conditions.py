"""
Whether a condition holds for an item. Source: the developer guide, *Comparison operator and function reference*.

What is missing equals nothing and has no order, so that only `<>` and `attribute_not_exists` hold for it.
"""

import operator

from jatevo_testing.engine_model.errors import Invalid
from jatevo_testing.engine_model.expressions import (
    Among,
    Between,
    Both,
    Call,
    Compare,
    Either,
    Negated,
    Path,
    Tree,
)
from jatevo_testing.engine_model.expressions import Given as Named
from jatevo_testing.engine_model.paths import Given, found
from jatevo_testing.engine_model.values import Item, Value, comparable, contains, kind, ordered, same, size_of

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ORDERED_KINDS = frozenset({"S", "N", "B"})


def holds(tree: Tree, item: Item, given: Given) -> bool:
    """Return whether a condition holds. Raises Invalid for one that makes no sense."""
    match tree:
        case Both(left, right):
            return holds(left, item, given) and holds(right, item, given)
        case Either(left, right):
            return holds(left, item, given) or holds(right, item, given)
        case Negated(what):
            return not holds(what, item, given)
        case Compare(sign, left, right):
            return _compared(sign, operand(left, item, given), operand(right, item, given))
        case Between(what, low, high):
            value = operand(what, item, given)
            return _compared(">=", value, operand(low, item, given)) and _compared(
                "<=", value, operand(high, item, given)
            )
        case Among(what, options):
            value = operand(what, item, given)
            return any(_compared("=", value, operand(option, item, given)) for option in options)
        case Call(name, arguments):
            return _predicate(name, arguments, item, given)
    raise Invalid("Syntax error; a condition is wanted")


def check(tree: Tree, given: Given) -> None:
    """Refuse what makes no sense for any item: an order of values that have none, a name that stands for nothing."""
    match tree:
        case Both(left, right) | Either(left, right):
            check(left, given)
            check(right, given)
        case Negated(what):
            check(what, given)
        case Compare(sign, left, right):
            for side in (left, right):
                _check_operand(side, given, ordered=sign in _ORDERS)
        case Between(what, low, high):
            for side in (what, low, high):
                _check_operand(side, given, ordered=True)
            if isinstance(low, Named) and isinstance(high, Named):
                _check_bounds(given.value(low.name), given.value(high.name))
        case Call(_, arguments) | Among(_, arguments):
            for argument in arguments:
                _check_operand(argument, given, ordered=False)


def operand(tree: Tree, item: Item, given: Given) -> Value | None:
    """Return what an operand of a condition is, None when it is missing."""
    if isinstance(tree, Named):
        return given.value(tree.name)
    if isinstance(tree, Path):
        return found(item, given.parts(tree))
    if isinstance(tree, Call) and tree.name == "size" and len(tree.arguments) == 1:
        value = operand(tree.arguments[0], item, given)
        size = None if value is None else size_of(value)
        return None if size is None else {"N": str(size)}
    raise Invalid("Invalid operand of a condition")


def _compared(sign: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None:
        return sign == "<>"
    if sign in {"=", "<>"}:
        return same(left, right) == (sign == "=")
    return ordered(left, right) and bool(_ORDERS[sign](comparable(left), comparable(right)))


def _predicate(name: str, arguments: tuple[Tree, ...], item: Item, given: Given) -> bool:
    value = operand(arguments[0], item, given)
    if name in {"attribute_exists", "attribute_not_exists"}:
        return (value is not None) == (name == "attribute_exists")
    wanted = operand(arguments[1], item, given)
    if value is None or wanted is None:
        return False
    if name == "contains":
        return contains(value, wanted)
    if name == "attribute_type":
        return bool(kind(value) == wanted["S"])
    of = kind(value)
    return of == kind(wanted) and of in {"S", "B"} and bool(value[of].startswith(wanted[of]))


def _check_bounds(low: Value, high: Value) -> None:
    if not ordered(low, high) or comparable(low) > comparable(high):
        raise Invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")


def _check_operand(tree: Tree, given: Given, *, ordered: bool) -> None:
    if isinstance(tree, Path):
        given.parts(tree)
    elif isinstance(tree, Named) and ordered and kind(given.value(tree.name)) not in _ORDERED_KINDS:
        raise Invalid("Incorrect operand type for operator or function")
    elif isinstance(tree, Named):
        given.value(tree.name)
    elif isinstance(tree, Call):
        for argument in tree.arguments:
            _check_operand(argument, given, ordered=False)

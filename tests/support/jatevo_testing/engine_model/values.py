"""
Values of DynamoDB's low-level format: what is one, how two compare, and how large they are.

Numbers have 38 digits; what is stored is their canonical form. Source: the developer guide, *Data types* and
*Constraints*.
"""

from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from jatevo_testing.engine_model import errors

type Value = Mapping[str, Any]
type Item = Mapping[str, Value]
type Number = int | Decimal

MOST_DIGITS = 38
MOST_ITEM_BYTES = 400 * 1024
_LARGEST_EXPONENT = 125
_SMALLEST_EXPONENT = -130
_EXACT = Context(prec=100)
_SCALARS = frozenset({"S", "N", "B"})
_SETS = {"SS": "S", "NS": "N", "BS": "B"}


def kind(value: Value) -> str:
    """Return the type of a value: `S`, `N` and so on."""
    return next(iter(value))


def number_of(text: str) -> Number:
    """Return a number, exactly. Raises Invalid for what is none, or out of range."""
    if len(text) < MOST_DIGITS and text.isdigit():
        return int(text)
    try:
        found = _EXACT.create_decimal(text)
    except InvalidOperation:
        raise errors.Invalid("The parameter cannot be converted to a numeric value") from None
    if not found.is_finite():
        raise errors.Invalid("The parameter cannot be converted to a numeric value")
    found = found.normalize(_EXACT)
    if len(found.as_tuple().digits) > MOST_DIGITS:
        raise errors.Invalid("Attempting to store more than 38 significant digits in a Number")
    if found and not _SMALLEST_EXPONENT <= found.adjusted() <= _LARGEST_EXPONENT:
        raise errors.Invalid("Number overflow or underflow")
    return int(found) if found == found.to_integral_value() else found


def number(found: Number) -> Value:
    """Return a number as a value. Raises Invalid where it has too many digits, or is out of range."""
    if isinstance(found, int) and -(10**MOST_DIGITS) < found < 10**MOST_DIGITS:
        return {"N": str(found)}
    checked = number_of(format(found, "f") if isinstance(found, Decimal) else str(found))
    return {"N": format(checked, "f") if isinstance(checked, Decimal) else str(checked)}


def plus(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    return _EXACT.add(Decimal(left), Decimal(right))


def stored(value: Value) -> Value:
    """Return a value as it is stored. Raises Invalid for what cannot be."""
    [(of, what)] = value.items()
    if of == "N":
        canonical = number(number_of(what))
        return value if canonical["N"] == what else canonical
    if of == "M":
        return {"M": {name: stored(one) for name, one in what.items()}}
    if of == "L":
        return {"L": [stored(one) for one in what]}
    if of in _SETS:
        return {of: _members(of, what)}
    return value


def _members(of: str, what: Any) -> list[Any]:
    members = [number(number_of(one))["N"] for one in what] if of == "NS" else list(what)
    if not members:
        raise errors.Invalid("One or more parameter values were invalid: a set may not be empty")
    if len(set(members)) < len(members):
        raise errors.Invalid("Input collection contains duplicates")
    return members


def stored_item(item: Item) -> dict[str, Value]:
    return {name: stored(value) for name, value in item.items()}


def comparable(value: Value) -> Any:
    """Return what a scalar is ordered by among those of its type."""
    [(of, what)] = value.items()
    if of == "N":
        return number_of(what)
    return what.encode() if of == "S" else bytes(what)


def same(left: Value, right: Value) -> bool:
    """Return whether two values are equal: of one type, and numbers by their value, sets in any order."""
    [(one, a)], [(other, b)] = left.items(), right.items()
    if one != other:
        return False
    if one == "N":
        return bool(a == b or number_of(a) == number_of(b))
    if one == "L":
        return len(a) == len(b) and all(map(same, a, b))
    if one == "M":
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return bool(set(a) == set(b) if one in _SETS else a == b)


def ordered(left: Value, right: Value) -> bool:
    """Return whether two values have an order: scalars of one type."""
    return kind(left) == kind(right) and kind(left) in _SCALARS


def size_of(value: Value) -> int | None:
    """Return what `size()` says of a value; None for what has no size."""
    [(of, what)] = value.items()
    if of in {"N", "BOOL", "NULL"}:
        return None
    return len(what.encode()) if of == "S" else len(what)


def contains(value: Value, wanted: Value) -> bool:
    """Return whether a string has that part, or a set or list that member."""
    [(of, what)] = value.items()
    if of in {"S", "B"}:
        return of in wanted and wanted[of] in what
    if of in _SETS:
        return any(same({_SETS[of]: member}, wanted) for member in what)
    return of == "L" and any(same(member, wanted) for member in what)


def bytes_of(item: Item) -> int:
    """Return the size of an item as it counts: names and values in UTF-8. Source: *Item sizes and formats*."""
    return sum(len(name.encode()) + _bytes(value) for name, value in item.items())


def _bytes(value: Value) -> int:
    [(of, what)] = value.items()
    if of == "N":
        return (len(what.lstrip("-").strip("0")) + 1) // 2 + 1
    if of == "S":
        return len(what) if what.isascii() else len(what.encode())
    if of == "M":
        return 3 + sum(1 + len(name.encode()) + _bytes(one) for name, one in what.items())
    if of == "L":
        return 3 + sum(1 + _bytes(one) for one in what)
    if of in _SETS:
        return sum(_bytes({_SETS[of]: one}) for one in what)
    return len(what) if of == "B" else 1

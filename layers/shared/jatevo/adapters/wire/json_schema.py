"""
Whether a value can be a JSON schema: the form of the keywords that models and grammars are built from.

Not a validator of the whole standard: keywords it does not know are left alone. The answer names the place of the first
keyword that cannot be meant, so that a client learns of it before anything is reserved.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jatevo.domain.refusals import shown

_LONGEST_PLACE = 256

_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_SCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


def fault_in(schema: Any, place: str) -> tuple[str, str] | None:
    """Return where a value stops being a schema and what must be there; None when nothing speaks against it."""
    top = _Place(None, place)
    pending = [(schema, top)]
    while pending:
        value, at = pending.pop()
        if isinstance(value, bool) and at is not top:
            continue
        if not isinstance(value, dict):
            return str(at), "a JSON schema, which is an object"
        for keyword, (check, what) in _FORMS.items():
            if keyword in value and not check(value[keyword]):
                return str(_Place(at, f".{keyword}")), what
        pending.extend(_children(value, at))
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in a schema. It is written out only when something is wrong there, and never at length."""

    within: "_Place | None"
    step: str

    def __str__(self) -> str:
        steps: list[str] = []
        place: _Place | None = self
        while place is not None:
            steps.append(shown(place.step))
            place = place.within
        path = "".join(reversed(steps))
        return path if len(path) <= _LONGEST_PLACE else f"{path[: _LONGEST_PLACE // 2]}…{path[-_LONGEST_PLACE // 2 :]}"


def _children(schema: dict[str, Any], place: _Place) -> Iterator[tuple[Any, _Place]]:
    for keyword in _SCHEMAS_BY_NAME:
        for name, child in schema.get(keyword, {}).items():
            yield child, _Place(_Place(place, f".{keyword}."), name)
    for keyword in _SCHEMA_LISTS:
        for index, child in enumerate(schema.get(keyword, ())):
            yield child, _Place(place, f".{keyword}[{index}]")
    for keyword in _SCHEMAS:
        child = schema.get(keyword, True)
        if keyword == "items" and isinstance(child, list):  # how drafts before 2020-12 wrote prefixItems
            yield from ((entry, _Place(place, f".items[{index}]")) for index, entry in enumerate(child))
        else:
            yield child, _Place(place, f".{keyword}")


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "type": (_is_type, "one of " + ", ".join(sorted(_TYPES)) + ", or a list of them"),
    "required": (_is_strings, "a list of strings"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of at least one value"),
    "$ref": (lambda value: isinstance(value, str), "a string"),
    **{name: (lambda value: isinstance(value, dict), "an object of schemas") for name in _SCHEMAS_BY_NAME},
    **{
        name: (lambda value: isinstance(value, list) and bool(value), "a list of at least one schema")
        for name in _SCHEMA_LISTS
    },
}

"""What can be no JSON schema is told by its place."""

from typing import Any

import pytest

from jatevo.adapters.wire.json_schema import fault_in

SCHEMAS: list[Any] = [
    {},
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": True}, "additionalProperties": False},
    {"$defs": {"a": {"enum": [1, "x", None]}}, "anyOf": [{"$ref": "#/$defs/a"}], "unknown": 7},
    {"type": "array", "items": [{"type": "string"}], "minItems": 1},
]
FAULTS: dict[str, Any] = {
    "s": ["not", "a", "schema"],
    "s.type": {"type": "objekt"},
    "s.properties": {"properties": ["a"]},
    "s.properties.a": {"properties": {"a": "string"}},
    "s.properties.a.type": {"properties": {"a": {"type": 7}}},
    "s.items.anyOf": {"items": {"anyOf": []}},
    "s.anyOf[1]": {"anyOf": [{}, "x"]},
    "s.required": {"required": "a"},
    "s.enum": {"enum": []},
    "s.$ref": {"$ref": 1},
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_has_no_fault(schema: Any) -> None:
    assert fault_in(schema, "s") is None


@pytest.mark.parametrize("place", FAULTS)
def test_a_fault_is_named_by_its_place(place: str) -> None:
    fault = fault_in(FAULTS[place], "s")

    assert fault is not None
    assert fault[0] == place


def test_no_value_at_all_is_no_schema() -> None:
    values: list[Any] = [None, True, "object"]

    assert all(fault_in(value, "s") is not None for value in values)

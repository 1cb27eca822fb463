"""
What applying a catalogue document would change, in lines for people.

`+` is added, `-` is removed, `~` is changed. The order of pools, models and lanes carries no meaning and is not
compared; the order of a model's routes does.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_KINDS = (("pools", "pool"), ("models", "model"), ("lanes", "lane"))


def document_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what changes from one valid document to another; nothing when they mean the same."""
    lines: list[str] = []
    for section, kind in _KINDS:
        before, after = _by_id(old, section), _by_id(new, section)
        lines += [f"- {kind} {name}" for name in before if name not in after]
        for name, fields in after.items():
            if name in before:
                lines += _changes(f"{kind} {name}", before[name], fields)
            else:
                lines.append(f"+ {kind} {name} ({_summary(fields)})")
    return lines


def _by_id(document: Mapping[str, Any], section: str) -> dict[str, dict[str, str]]:
    return {
        table["id"]: dict(_fields(table)) for table in sorted(document.get(section, []), key=lambda table: table["id"])
    }


def _fields(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the fields of a table by dotted name, their values as text."""
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{name}.")
        elif prefix + name != "id":
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)


def _changes(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"~ {what}: {name} = {after[name]}"
        elif name not in after:
            yield f"~ {what}: {name} removed (was {before[name]})"
        elif before[name] != after[name]:
            yield f"~ {what}: {name} {before[name]} → {after[name]}"


def _summary(fields: Mapping[str, str]) -> str:
    shown = ("base_url", "price.input", "price.output", "price.request", "routes")
    return ", ".join(f"{name} {fields[name]}" for name in shown if name in fields)

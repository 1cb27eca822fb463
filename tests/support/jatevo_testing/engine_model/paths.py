"""Paths into an item: finding what stands there, and writing it, without touching what others may still hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jatevo_testing.engine_model.errors import Invalid
from jatevo_testing.engine_model.expressions import Path
from jatevo_testing.engine_model.values import Item, Value, kind

type Parts = tuple[str | int, ...]
_INVALID = "The document path provided in the update expression is invalid for update"


@dataclass(frozen=True, slots=True)
class Given:
    """What the placeholders of a request stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Value]

    def name(self, said: str | int) -> str | int:
        if isinstance(said, int) or not said.startswith("#"):
            return said
        if said not in self.names:
            raise Invalid(f"An expression attribute name used in the document path is not defined: {said}")
        return self.names[said]

    def parts(self, path: Path) -> Parts:
        return tuple([self.name(part) for part in path.parts])

    def value(self, said: str) -> Value:
        if said not in self.values:
            raise Invalid(f"An expression attribute value used in expression is not defined: {said}")
        return self.values[said]


def found(item: Item, parts: Parts) -> Value | None:
    """Return the value at a path, None where there is nothing."""
    value = item.get(str(parts[0]))
    for part in parts[1:]:
        if value is None:
            return None
        inside = value.get("L" if isinstance(part, int) else "M")
        if inside is None:
            return None
        value = (inside[part] if part < len(inside) else None) if isinstance(part, int) else inside.get(part)
    return value


class Draft:
    """An item being written: a copy that shares with the old one what is not written."""

    def __init__(self, item: Item) -> None:
        self.item: dict[str, Any] = dict(item)
        self._own: set[int] = set()

    def put(self, parts: Parts, value: Value) -> None:
        """Write a value. Raises Invalid where its place does not exist."""
        holder, last = self._holder(parts)
        if isinstance(last, int):
            holder[last : last + 1] = [value]
        else:
            holder[last] = value

    def remove(self, parts: Parts) -> None:
        """Remove what stands at a path, if anything does. Raises Invalid where its place does not exist."""
        holder, last = self._holder(parts)
        if isinstance(last, int):
            del holder[last : last + 1]
        else:
            holder.pop(last, None)

    def _holder(self, parts: Parts) -> tuple[Any, str | int]:
        """Return the map or list, of this draft's own, in which a path ends, and the last part."""
        holder: Any = self.item
        for place, part in enumerate(parts[:-1]):
            present = isinstance(part, str) or part < len(holder)
            value = (holder.get(part) if isinstance(part, str) else holder[part]) if present else None
            wanted = "L" if isinstance(parts[place + 1], int) else "M"
            if value is None or kind(value) != wanted:
                raise Invalid(_INVALID)
            inside = value[wanted]
            if id(inside) not in self._own:
                inside = inside.copy()
                self._own.add(id(inside))
                holder[part] = {wanted: inside}
            holder = inside
        return holder, parts[-1]


def overlap(left: Parts, right: Parts) -> bool:
    """Return whether one path leads through the other."""
    return all(a == b for a, b in zip(left, right, strict=False))

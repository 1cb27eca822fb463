"""
Values of DynamoDB's low-level format: what `{"N": "1"}` stands for, both ways.

Only the types this product stores: no floats, so that no amount is ever one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

type Item = Mapping[str, Mapping[str, Any]]


def text(value: str) -> dict[str, str]:
    return {"S": value}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def binary(value: bytes) -> dict[str, bytes]:
    return {"B": value}


def texts(values: Iterable[str]) -> dict[str, list[str]]:
    return {"SS": sorted(values)}


def get_int(item: Item, name: str, default: int = 0) -> int:
    """Return a number attribute, or `default` when the item has none."""
    value = item.get(name)
    return default if value is None else int(value["N"])


def get_text(item: Item, name: str, default: str = "") -> str:
    """Return a string attribute, or `default` when the item has none."""
    value = item.get(name)
    return default if value is None else str(value["S"])


def get_optional_int(item: Item, name: str) -> int | None:
    value = item.get(name)
    return None if value is None or "N" not in value else int(value["N"])


def get_flag(item: Item, name: str, *, default: bool) -> bool:
    value = item.get(name)
    return default if value is None else bool(value["BOOL"])


def get_texts(item: Item, name: str) -> frozenset[str] | None:
    """Return a string set, or None when the item has none."""
    value = item.get(name)
    return None if value is None or "SS" not in value else frozenset(value["SS"])


def get_text_map(item: Item, name: str) -> dict[str, str]:
    """Return a map of strings, empty when the item has none."""
    value = item.get(name)
    return {} if value is None else {key: str(entry["S"]) for key, entry in value.get("M", {}).items()}


def get_int_map(item: Item, name: str) -> dict[str, int]:
    """Return a map of numbers, empty when the item has none."""
    value = item.get(name)
    return {} if value is None else {key: int(entry["N"]) for key, entry in value["M"].items()}

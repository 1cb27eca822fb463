"""
How much a request is, in bytes of its JSON, and which conversation it belongs to.

Long texts are most of a large request, and to write one as JSON takes several times as long as to count or hash it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from jatevo.adapters.json_text import json_text

_LONG = 1000
"""Characters of a text that it is quicker to count than to write."""
_WORDS = ("content", "text", "output")
"""The members of messages and items that are long, or hold what is."""
_TWOFOLD = b'"\\\n\r\t\b\f'
"""What JSON writes as two characters."""
_SIXFOLD = bytes(set(range(32)) - set(_TWOFOLD))
"""And as six, `\\u0000`."""


def measured(values: Iterable[Any]) -> tuple[int, int]:
    """Return how many bytes of a list's JSON are ASCII, and how many are not."""
    long: list[str] = []
    outline = json_text([_outline(value, long) for value in values])
    sizes = [bytes_of(outline), *(written_bytes(text) for text in long)]
    return sum(ascii_bytes for ascii_bytes, _ in sizes), sum(other_bytes for _, other_bytes in sizes)


def _outline(value: Any, long: list[str]) -> Any:
    """Return a value with empty texts in place of its `long` ones; an object that has none is not copied."""
    if isinstance(value, str) and len(value) >= _LONG:
        long.append(value)
        return ""
    if isinstance(value, list):
        return [_outline(member, long) for member in value]
    if isinstance(value, dict):
        for name in _WORDS:
            brief = _outline(value.get(name), long)
            if brief is not value.get(name):
                value = {**value, name: brief}
    return value


def bytes_of(text: str) -> tuple[int, int]:
    """Return how many UTF-8 bytes of a text are ASCII, and how many are not."""
    if text.isascii():
        return len(text), 0
    ascii_bytes = len(text.encode("ascii", "ignore"))
    return ascii_bytes, len(text.encode("utf-8", "surrogatepass")) - ascii_bytes


def written_bytes(text: str) -> tuple[int, int]:
    """Return the same of a text in JSON, but for its quotes, without writing that."""
    ascii_bytes, other_bytes = bytes_of(text)
    data = text.encode("utf-8", "surrogatepass")
    twofold, sixfold = (len(data) - len(data.translate(None, escaped)) for escaped in (_TWOFOLD, _SIXFOLD))
    return ascii_bytes + twofold + 5 * sixfold, other_bytes


def fingerprint(values: Iterable[Any]) -> str:
    """Return a hash of values. Texts go in as they are."""
    seen = hashlib.sha256()
    for value in values:
        seen.update((value if isinstance(value, str) else json_text(value)).encode("utf-8", "surrogatepass"))
        seen.update(b"\0")
    return seen.hexdigest()

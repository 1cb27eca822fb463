"""
Chunks of a stream that differ from an earlier one in a single string of their delta, as almost all do.

What was learned of the earlier one, parsed strictly, holds for them: only the text between two known runs of bytes is
looked at. Whatever else comes is no match, and is parsed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jatevo.adapters.json_text import json_bytes

_SAME_IN_AND_OUT = re.compile(rb'[^"\\\x00-\x1f]*(?:\\["\\bfnrt][^"\\\x00-\x1f]*)*')
"""The inside of a JSON string that the gateway would write just as it came, apart from what UTF-8 demands."""
_PROBE = "jatevo's probe"
_MOST_LESSONS = 16
"""In a row, none of which helped: where every chunk is new in some other way, learning would only cost."""
_UNCOUNTED = frozenset({"role", "type", "id"})

type Parse = Callable[[bytes], Mapping[str, Any] | None]
type Show = Callable[[list[dict[str, Any]]], bytes]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What is around the text: as it comes, and as it is shown."""

    before: bytes
    after: bytes
    shown_before: bytes
    shown_after: bytes


class Alike:
    """What the chunks of one stream have in common. `parse` and `show` are how a chunk is read and written in full."""

    def __init__(self, parse: Parse, show: Show) -> None:
        self._parse = parse
        self._show = show
        self._pattern: _Pattern | None = None
        self._lessons_left = _MOST_LESSONS

    def shown(self, data: bytes) -> tuple[bytes, int] | None:
        """Return what a chunk is for the client, and its bytes of text; None when it has to be parsed."""
        pattern = self._pattern
        if pattern is None or not (data.startswith(pattern.before) and data.endswith(pattern.after)):
            return None
        text = data[len(pattern.before) : -len(pattern.after)]
        if len(data) < len(pattern.before) + len(pattern.after) or not _SAME_IN_AND_OUT.fullmatch(text):
            return None
        if not text.isascii():
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                return None
        self._lessons_left = _MOST_LESSONS
        # Each escape is two bytes for one; of two backslashes in a row, the second belongs to the first.
        escapes = text.count(b"\\") - text.count(b"\\\\")
        return pattern.shown_before + text + pattern.shown_after, len(text) - escapes

    def learn(self, data: bytes) -> None:
        """Take note of a chunk that had to be parsed."""
        if self._lessons_left:
            self._lessons_left -= 1
            self._pattern = self._learned(data) or self._pattern

    def _learned(self, data: bytes) -> _Pattern | None:
        name, text = _only_text(self._parse(data))
        before, quote, after = data.partition(_quoted(text))
        if not (text and quote):
            return None
        before, after = before + b'"', b'"' + after
        # That the text is what is between the two, and nothing else depends on it, is seen with another in its place.
        probe = before + _PROBE.encode() + after
        probed = self._parse(probe)
        if probed is None or _only_text(probed) != (name, _PROBE):
            return None
        shown = self._show(probed["choices"])
        shown_before, _, shown_after = shown.partition(_quoted(_PROBE))
        if _quoted(_PROBE) in shown_after or not shown_after:
            return None
        return _Pattern(before, after, shown_before + b'"', b'"' + shown_after)


def _quoted(text: str) -> bytes:
    return json_bytes(text)


def _only_text(chunk: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the one text of a chunk that says nothing else: neither an end nor usage. Two empty ones when it does."""
    choices = [] if chunk is None or chunk.get("usage") is not None else chunk["choices"]
    if len(choices) != 1 or choices[0].get("finish_reason") is not None:
        return "", ""
    counted = {name: value for name, value in choices[0]["delta"].items() if value and name not in _UNCOUNTED}
    name, text = next(iter(counted.items()), ("", ""))
    return (name, text) if len(counted) == 1 and isinstance(text, str) else ("", "")

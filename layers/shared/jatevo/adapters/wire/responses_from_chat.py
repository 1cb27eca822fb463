"""
Chat deltas into the items and events of a response.

Guarantees: text, refusals and reasoning become parts of items in the order in which they come; tool calls are kept
apart by their index, also when their pieces are mixed, and end in that order; nothing an upstream may put in a delta
makes this fail; a tool call without a name is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jatevo.adapters.wire.custom_input import CustomInput
from jatevo.adapters.wire.responses_events import REASONING, REFUSAL, SUMMARY, TEXT, Events, Item, Part, PartKind
from jatevo.adapters.wire.responses_logprobs import shown_logprobs
from jatevo.domain.ids import item_id

_LONGEST_CALL_ID = 128
_MOST_CALLS = 512


@dataclass(frozen=True, slots=True)
class Wishes:
    """What of the request decides how an answer is shown."""

    custom_tools: frozenset[str] = frozenset()
    """Names of the custom tools: the upstream calls them as functions."""
    reasoning_summary: bool = False
    """Reasoning is shown as a summary, which was asked for, instead of as its text."""
    logprobs: bool = False


@dataclass(slots=True)
class _Call:
    """One tool call under way. It is an item once its name is known."""

    id: str = ""
    name: str = ""
    item: Item | None = None
    custom: CustomInput | None = None
    waiting: list[str] = field(default_factory=list)
    """Arguments that came before the name."""
    pieces: list[str] = field(default_factory=list)
    """What was told of the arguments, or of the input."""


class ChatItems:
    """The items of one response. `output` are all so far, in order."""

    def __init__(self, events: Events, response_id: str, wishes: Wishes) -> None:
        self._events = events
        self._response_id = response_id
        self._wishes = wishes
        self._item: Item | None = None
        self._part: Part | None = None
        self._calls: dict[int, _Call] = {}
        self._call_ids: set[str] = set()
        self.output: list[dict[str, Any]] = []

    def feed(self, delta: Mapping[str, Any], logprobs: Any = None) -> bytes:
        """Take a delta, or a whole message, and return the frames that tell of it."""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        kind = SUMMARY if self._wishes.reasoning_summary else REASONING
        frames = self._text("reasoning", kind, _text_of(reasoning), [])
        wanted = self._wishes.logprobs and isinstance(logprobs, Mapping)
        probabilities = shown_logprobs(logprobs.get("content")) if wanted else []
        frames += self._text("message", TEXT, _text_of(delta.get("content")), probabilities)
        frames += self._text("message", REFUSAL, _text_of(delta.get("refusal")), [])
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, Mapping):
                frames += self._call_piece(call, place)
        legacy = delta.get("function_call")
        if isinstance(legacy, Mapping):
            frames += self._call_piece({"function": legacy}, 0)
        return frames

    def close(self, *, cut: bool = False) -> bytes:
        """Return the frames that end all items; `cut`: the answer broke off, so the last of them is not whole."""
        frames = self._close_text(cut=cut and not self._calls)
        calls = [call for call in self._calls.values() if call.item is not None]
        for call in calls:
            frames += self._close_call(call, cut=cut and call is calls[-1])
        self._calls.clear()
        return frames

    def _text(self, item_type: str, kind: PartKind, text: str, logprobs: list[dict[str, Any]]) -> bytes:
        if not text:
            return b""
        frames = b""
        if self._item is None or self._item.shape["type"] != item_type:
            frames += self._close_text()
            item = self._item = self._new_item(item_type)
            frames += item.added()
        if self._part is None or self._part.kind is not kind:
            frames += self._part.ended() if self._part is not None else b""
            self._part = Part(self._item, kind)
            frames += self._part.added()
        return frames + self._part.delta(text, logprobs)

    def _close_text(self, *, cut: bool = False) -> bytes:
        frames = self._part.ended() if self._part is not None else b""
        if self._item is not None:
            frames += self._item.ended("incomplete" if cut else "completed")
        self._item = self._part = None
        return frames

    def _call_piece(self, piece: Mapping[str, Any], place: int) -> bytes:
        """Take a piece of a tool call, whose form says whether it is a function's or a custom tool's."""
        body = piece.get("function") if isinstance(piece.get("function"), Mapping) else piece.get("custom")
        body = body if isinstance(body, Mapping) else {}
        call = self._call_of(piece.get("index", place), piece.get("id"))
        if call is None:
            return b""
        frames = b""
        if call.item is None:
            call.name += _text_of(body.get("name"))
            if not call.name:
                call.waiting.append(_text_of(body.get("arguments")))
                return b""
            frames += self._close_text() + self._open_call(call, is_function="function" in piece)
        arguments = "".join(call.waiting) + _text_of(body.get("arguments", body.get("input")))
        call.waiting.clear()
        return frames + self._arguments(call, arguments if call.custom is None else call.custom.feed(arguments))

    def _call_of(self, index: Any, call_id: Any) -> _Call | None:
        """Return the call that a piece belongs to. Some upstreams number all calls 0: then a new id is a new call."""
        key = index if isinstance(index, int) else 0
        call = self._calls.get(key)
        known = isinstance(call_id, str) and bool(call_id)
        if call is not None and known and call.id and call.id != call_id:
            key = next((at for at, other in self._calls.items() if other.id == call_id), len(self._calls) + _MOST_CALLS)
            call = self._calls.get(key)
        if call is None:
            if len(self._calls) >= _MOST_CALLS:
                return None
            call = self._calls[key] = _Call()
        if known and not call.id:
            call.id = str(call_id)
        return call

    def _open_call(self, call: _Call, *, is_function: bool) -> bytes:
        custom = call.name in self._wishes.custom_tools
        kind = "custom_tool_call" if custom or not is_function else "function_call"
        item = call.item = self._new_item(kind, call)
        if kind == "custom_tool_call" and is_function:
            call.custom = CustomInput()
        return item.added()

    def _arguments(self, call: _Call, text: str) -> bytes:
        if not text or call.item is None:
            return b""
        call.pieces.append(text)
        return call.item.told(_TOLD[call.item.shape["type"]][0], delta=text)

    def _close_call(self, call: _Call, *, cut: bool) -> bytes:
        assert call.item is not None
        kind = call.item.shape["type"]
        rest = call.custom.rest() if call.custom is not None else ""
        if kind == "function_call" and not call.pieces and not cut:
            rest = "{}"  # what every client can parse
        frames = self._arguments(call, rest)
        _, done, member = _TOLD[kind]
        whole = call.item.shape[member] = "".join(call.pieces)
        return frames + call.item.told(done, **{member: whole}) + call.item.ended("incomplete" if cut else "completed")

    def _new_item(self, kind: str, call: _Call | None = None) -> Item:
        index = len(self.output)
        shape: dict[str, Any] = {
            "id": item_id(_PREFIXES[kind], self._response_id, index),
            "type": kind,
            "status": "in_progress",
        }
        if call is not None:
            shape |= {"call_id": self._call_id(call, index), "name": call.name, _TOLD[kind][2]: ""}
        elif kind == "message":
            shape |= {"role": "assistant", "content": []}
        else:
            shape |= {"summary": [], "content": []}
        self.output.append(shape)
        return Item(self._events, index, shape)

    def _call_id(self, call: _Call, index: int) -> str:
        """Return the upstream's id of a call where it can serve as one: clients and the next turn refer to it."""
        fit = 0 < len(call.id) <= _LONGEST_CALL_ID and call.id not in self._call_ids
        call_id = call.id if fit else item_id("call", self._response_id, index)
        self._call_ids.add(call_id)
        return call_id


_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_TOLD = {
    "function_call": ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input"),
}


def _text_of(value: Any) -> str:
    """Return the text of a member that should be one, or a list of text parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text_of(part.get("text")) for part in value if isinstance(part, Mapping))
    return ""

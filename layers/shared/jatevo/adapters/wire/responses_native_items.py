"""
The items of a response that an upstream tells of in the same format: told again, whole and in order.

Upstreams that speak the format leave out what they like: places, numbers, whole events. So items of the known types are
not passed on but rebuilt from what is told of them, in whichever event; others pass as they are, under our ids and
places. Guarantees: the deltas of a part add up to its text; every part and item that began ends once; nothing an
upstream may send makes this fail.
"""

from collections.abc import Mapping
from typing import Any

from jatevo.adapters.wire.chat_reading import text_length
from jatevo.adapters.wire.checks import is_one_of
from jatevo.adapters.wire.responses_events import REASONING, REFUSAL, SUMMARY, TEXT, Events, Item, Part, PartKind
from jatevo.adapters.wire.responses_logprobs import shown_logprobs
from jatevo.domain.ids import item_id

_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_CALLED_WITH = {"function_call": "arguments", "custom_tool_call": "input"}
_CALL_EVENTS = {"arguments": "response.function_call_arguments", "input": "response.custom_tool_call_input"}
_KINDS = {kind.part: kind for kind in (TEXT, REFUSAL, REASONING, SUMMARY)}
_DELTAS = {kind.delta: kind for kind in _KINDS.values()}
_TEXTS_DONE = {kind.text_done: kind for kind in _KINDS.values()}
_OWNERS = {TEXT: "message", REFUSAL: "message", REASONING: "reasoning", SUMMARY: "reasoning"}
_PHASES = frozenset({"commentary", "final_answer"})
_LONGEST_ID = 128
_MOST_ITEMS = 4096


class _Tracked:
    """One item under way."""

    def __init__(self, events: Events, index: int, shape: dict[str, Any]) -> None:
        self.item = Item(events, index, shape)
        self.parts: dict[tuple[str, int], Part] = {}
        self.open: Part | None = None
        self.pieces: list[str] = []

    @property
    def kind(self) -> str:
        kind: str = self.item.shape["type"]
        return kind


class NativeItems:
    """The items of one response. `output` are all so far, in order; `produced_bytes` is the text they hold."""

    def __init__(self, events: Events, response_id: str, *, logprobs: bool) -> None:
        self._events = events
        self._response_id = response_id
        self._logprobs = logprobs
        self._by_place: list[_Tracked] = []
        self._by_name: dict[str, _Tracked] = {}
        self._by_index: dict[int, _Tracked] = {}
        self._call_ids: set[str] = set()
        self.output: list[dict[str, Any]] = []
        self.produced_bytes = 0

    def feed(self, kind: str, event: Mapping[str, Any]) -> bytes:
        """Take an event and return the frames that tell of it."""
        if kind == "response.output_item.added":
            return self._added(event)
        if kind == "response.output_item.done":
            return self._done(event)
        if kind in _DELTAS:
            return self._delta(_DELTAS[kind], event)
        if kind in _TEXTS_DONE:
            part_kind = _TEXTS_DONE[kind]
            return self._catch_up(part_kind, event, event.get(part_kind.member))
        if kind.endswith((".content_part.added", ".content_part.done", "summary_part.done")):
            return self._part_told(event)
        for member, name in _CALL_EVENTS.items():
            if kind.startswith(name):
                return self._called(member, event)
        return self._passed(kind, event)

    def whole(self, output: Any) -> bytes:
        """Take all items at once, as a terminal event or a whole answer has them."""
        frames = b""
        for index, item in enumerate(output if isinstance(output, list) else ()):
            if isinstance(item, Mapping):
                if index < len(self._by_place) and self._by_place[index].kind == item.get("type"):
                    self._by_index.setdefault(index, self._by_place[index])
                frames += self._done({"item": item, "output_index": index})
        return frames

    def close(self, *, cut: bool = False) -> bytes:
        """Return the frames that end what is still open; `cut`: the last item is not whole."""
        frames = b""
        still_open = [tracked for tracked in self._by_place if not tracked.item.done]
        for tracked in still_open:
            frames += self._end(tracked, "incomplete" if cut and tracked is self._by_place[-1] else "completed")
        return frames

    def _added(self, event: Mapping[str, Any]) -> bytes:
        given = event.get("item")
        if not isinstance(given, Mapping) or self._known(event, given) is not None:
            return b""
        _, frames = self._begin(given, event)
        return frames

    def _done(self, event: Mapping[str, Any]) -> bytes:
        given = event.get("item")
        if not isinstance(given, Mapping):
            return b""
        tracked, frames = self._known(event, given) or self._last(given.get("type"), event), b""
        if tracked is None:
            tracked, frames = self._begin(given, event)
        if tracked is None or tracked.item.done:
            return frames
        if tracked.kind not in _PREFIXES:
            shape = tracked.item.shape
            self.produced_bytes += text_length(given) - text_length(shape)
            shape.update({name: value for name, value in given.items() if name not in {"id", "type"}})
            return frames + self._end(tracked, given.get("status", "completed"))
        for member in ("summary", "content"):
            frames += self._parts_of(tracked, given.get(member), member)
        if (member := _CALLED_WITH.get(tracked.kind, "")) and isinstance(given.get(member), str):
            frames += self._call_catches_up(tracked, given[member])
        if isinstance(given.get("encrypted_content"), str):
            tracked.item.shape["encrypted_content"] = given["encrypted_content"]
        return frames + self._end(tracked, "incomplete" if given.get("status") == "incomplete" else "completed")

    def _parts_of(self, tracked: _Tracked, parts: Any, member: str) -> bytes:
        """Catch up with the parts of an item, as its last event lists them."""
        if tracked.kind not in {"message", "reasoning"} or not isinstance(parts, list):
            return b""
        frames = b""
        for index, part in enumerate(parts):
            kind = _kind_of(part)
            if kind is not None and kind.held_in == member and _OWNERS[kind] == tracked.kind:
                frames += self._catch_up_part(tracked, kind, index, part)
        return frames

    def _part_told(self, event: Mapping[str, Any]) -> bytes:
        part = event.get("part")
        kind = _kind_of(part)
        if kind is None:
            return b""
        tracked, frames = self._owner(_OWNERS[kind], event)
        if tracked is None or not isinstance(part, Mapping):
            return frames
        return frames + self._catch_up_part(tracked, kind, _index(event, kind.index), part)

    def _catch_up_part(self, tracked: _Tracked, kind: PartKind, index: int, given: Mapping[str, Any]) -> bytes:
        frames, part = self._part(tracked, kind, index)
        annotations = given.get("annotations")
        if part is not None and isinstance(annotations, list):
            part.annotations = [entry for entry in annotations if isinstance(entry, dict)]
        return frames + self._rest(tracked, part, given.get(kind.member))

    def _catch_up(self, kind: PartKind, event: Mapping[str, Any], text: Any) -> bytes:
        tracked, frames = self._owner(_OWNERS[kind], event)
        if tracked is None:
            return frames
        begun, part = self._part(tracked, kind, _index(event, kind.index))
        return frames + begun + self._rest(tracked, part, text)

    def _rest(self, tracked: _Tracked, part: Part | None, text: Any) -> bytes:
        """Return the frame of what an upstream now says was in a part, beyond what it has told of it."""
        if part is None or part is not tracked.open or not isinstance(text, str) or not text.startswith(part.text):
            return b""
        return self._told(part, text[len(part.text) :], [])

    def _delta(self, kind: PartKind, event: Mapping[str, Any]) -> bytes:
        text = event.get("delta")
        if not isinstance(text, str):
            return b""
        tracked, frames = self._owner(_OWNERS[kind], event)
        if tracked is None:
            return frames
        begun, part = self._part(tracked, kind, _index(event, kind.index))
        if part is None or part is not tracked.open:
            return frames + begun
        logprobs = shown_logprobs(event.get("logprobs")) if self._logprobs else []
        return frames + begun + self._told(part, text, logprobs)

    def _told(self, part: Part, text: str, logprobs: list[dict[str, Any]]) -> bytes:
        if not text:
            return b""
        self.produced_bytes += text_length(text)
        return part.delta(text, logprobs)

    def _part(self, tracked: _Tracked, kind: PartKind, index: int) -> tuple[bytes, Part | None]:
        """Return a part, and the frames that begin it and end the one before. None once the item has ended."""
        part = tracked.parts.get((kind.held_in, index))
        if part is not None or tracked.item.done:
            return b"", part
        frames = tracked.open.ended() if tracked.open is not None else b""
        part = tracked.open = tracked.parts[kind.held_in, index] = Part(tracked.item, kind)
        return frames + part.added(), part

    def _called(self, member: str, event: Mapping[str, Any]) -> bytes:
        """Take a piece, or all, of what a tool is called with."""
        kind = next(kind for kind, name in _CALLED_WITH.items() if name == member)
        tracked, frames = self._owner(kind, event)
        if tracked is None or tracked.item.done:
            return frames
        if isinstance(event.get(member), str):
            return frames + self._call_catches_up(tracked, event[member])
        return frames + self._call_told(tracked, event.get("delta"))

    def _call_catches_up(self, tracked: _Tracked, text: str) -> bytes:
        told = "".join(tracked.pieces)
        return self._call_told(tracked, text[len(told) :]) if text.startswith(told) else b""

    def _call_told(self, tracked: _Tracked, text: Any) -> bytes:
        if not isinstance(text, str) or not text:
            return b""
        tracked.pieces.append(text)
        self.produced_bytes += text_length(text)
        return tracked.item.told(f"{_CALL_EVENTS[_CALLED_WITH[tracked.kind]]}.delta", delta=text)

    def _end(self, tracked: _Tracked, status: str) -> bytes:
        frames = tracked.open.ended() if tracked.open is not None else b""
        tracked.open = None
        if tracked.kind in _CALLED_WITH:
            member = _CALLED_WITH[tracked.kind]
            if tracked.kind == "function_call" and not tracked.pieces and status == "completed":
                frames += self._call_told(tracked, "{}")  # what every client can parse
            whole = tracked.item.shape[member] = "".join(tracked.pieces)
            frames += tracked.item.told(f"{_CALL_EVENTS[member]}.done", **{member: whole})
        return frames + tracked.item.ended(status)

    def _passed(self, kind: str, event: Mapping[str, Any]) -> bytes:
        """Pass an event on that belongs to an item of a type we do not know. Others would mean nothing to a client."""
        tracked = self._known(event, {})
        if tracked is None or tracked.item.done or tracked.kind in _PREFIXES:
            return b""
        own = {"type", "sequence_number", "item_id", "output_index"}
        return tracked.item.told(kind, **{name: value for name, value in event.items() if name not in own})

    def _owner(self, kind: str, event: Mapping[str, Any]) -> tuple[_Tracked | None, bytes]:
        """Return the item that an event is about; where nothing has been said of it yet, it begins."""
        tracked = self._known(event, {}) or self._last(kind, event)
        if tracked is not None:
            return (tracked if tracked.kind == kind else None), b""
        return self._begin({"type": kind, "id": event.get("item_id")}, event)

    def _last(self, kind: Any, event: Mapping[str, Any]) -> _Tracked | None:
        """Return the item under way, where an event says only by its type which one it is about."""
        if "output_index" in event or "item_id" in event:
            return None
        return next((last for last in self._by_place[-1:] if last.kind == kind and not last.item.done), None)

    def _known(self, event: Mapping[str, Any], given: Mapping[str, Any]) -> _Tracked | None:
        name, index = event.get("item_id", given.get("id")), event.get("output_index")
        tracked = self._by_name.get(name) if isinstance(name, str) else None
        return tracked or (self._by_index.get(index) if isinstance(index, int) else None)

    def _begin(self, given: Mapping[str, Any], event: Mapping[str, Any]) -> tuple[_Tracked | None, bytes]:
        kind = given.get("type")
        if not isinstance(kind, str) or not kind or len(self._by_place) >= _MOST_ITEMS:
            return None, b""
        place = len(self._by_place)
        shape = self._shape(kind, given, place)
        if shape is None:
            return None, b""
        tracked = _Tracked(self._events, place, shape)
        self._by_place.append(tracked)
        self.output.append(shape)
        if isinstance(given.get("id"), str):
            self._by_name[given["id"]] = tracked
        if isinstance(event.get("output_index"), int):
            self._by_index[event["output_index"]] = tracked
        return tracked, tracked.item.added()

    def _shape(self, kind: str, given: Mapping[str, Any], place: int) -> dict[str, Any] | None:
        """Return how an item begins: of a known type with the members it must have, else as it was given."""
        if kind not in _PREFIXES:
            self.produced_bytes += text_length(given)
            name = _fit(given.get("id")) or item_id("item", self._response_id, place)
            begun = {"status": "in_progress"} if "status" in given else {}
            return {**given, "id": name, "type": kind, **begun}
        shape: dict[str, Any] = {
            "id": item_id(_PREFIXES[kind], self._response_id, place),
            "type": kind,
            "status": "in_progress",
        }
        if kind == "message":
            phase = {"phase": given["phase"]} if is_one_of(given.get("phase"), _PHASES) else {}
            return shape | {"role": "assistant", "content": []} | phase
        if kind == "reasoning":
            return shape | {"summary": [], "content": []}
        if not isinstance(given.get("name"), str) or not given["name"]:
            return None
        named = {"namespace": given["namespace"]} if isinstance(given.get("namespace"), str) else {}
        call_id = _fit(given.get("call_id"))
        if call_id is None or call_id in self._call_ids:
            call_id = item_id("call", self._response_id, place)
        self._call_ids.add(call_id)
        return shape | {"call_id": call_id, "name": given["name"], _CALLED_WITH[kind]: ""} | named


def _kind_of(part: Any) -> PartKind | None:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return _KINDS.get(kind) if isinstance(kind, str) else None


def _index(event: Mapping[str, Any], name: str) -> int:
    index = event.get(name, 0)
    return index if isinstance(index, int) else 0


def _fit(name: Any) -> str | None:
    """Return an upstream's id where it can serve as one."""
    return name if isinstance(name, str) and 0 < len(name) <= _LONGEST_ID else None

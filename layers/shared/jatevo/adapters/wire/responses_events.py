"""
The events of one response, numbered, and its output items as they grow.

Guarantees, whatever order a caller works in: `response.created` is the first event and comes once; every event has the
next sequence number; an item is added before anything of it is told, and done once; what the deltas of a part told is
what its last event tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jatevo.adapters.wire import sse


class Events:
    """Numbers events and writes them as frames."""

    def __init__(self) -> None:
        self._next = 0

    @property
    def begun(self) -> bool:
        """Whether there was an event."""
        return self._next > 0

    def frame(self, kind: str, **members: Any) -> bytes:
        """Return the frame of the next event."""
        event = {"type": kind, "sequence_number": self._next, **members}
        self._next += 1
        return b"event: " + kind.encode() + b"\n" + sse.frame(event)

    def opening(self, response: Mapping[str, Any]) -> bytes:
        """Return the first two frames, or nothing when they have gone."""
        if self.begun:
            return b""
        return self.frame("response.created", response=response) + self.frame("response.in_progress", response=response)


class Item:
    """One output item under way: `shape` is what it looks like so far, its texts apart until it is done."""

    def __init__(self, events: Events, index: int, shape: dict[str, Any]) -> None:
        self._events = events
        self.index = index
        self.shape = shape
        self.done = False

    def added(self) -> bytes:
        """Return the frame that announces the item."""
        return self._events.frame("response.output_item.added", output_index=self.index, item=self.shape)

    def told(self, kind: str, **members: Any) -> bytes:
        """Return the frame of an event within the item."""
        return self._events.frame(kind, item_id=self.shape["id"], output_index=self.index, **members)

    def ended(self, status: str) -> bytes:
        """Return the frame that ends the item."""
        self.done = True
        if "status" in self.shape:
            self.shape["status"] = status
        return self._events.frame("response.output_item.done", output_index=self.index, item=self.shape)


@dataclass(frozen=True, slots=True)
class PartKind:
    """How a part of an item is told of."""

    part: str
    """The part's type."""
    member: str
    """The member of the part that holds its text."""
    held_in: str
    """The member of the item that lists such parts."""
    index: str
    """What events call the part's place."""
    added: str
    delta: str
    text_done: str
    done: str


TEXT = PartKind(
    "output_text",
    "text",
    "content",
    "content_index",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
)
REFUSAL = replace(
    TEXT, part="refusal", member="refusal", delta="response.refusal.delta", text_done="response.refusal.done"
)
REASONING = replace(
    TEXT, part="reasoning_text", delta="response.reasoning_text.delta", text_done="response.reasoning_text.done"
)
SUMMARY = PartKind(
    "summary_text",
    "text",
    "summary",
    "summary_index",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.reasoning_summary_part.done",
)


class Part:
    """One part of an item under way."""

    def __init__(self, item: Item, kind: PartKind) -> None:
        self.kind = kind
        self._item = item
        self._place = {kind.index: len(item.shape[kind.held_in])}
        self._pieces: list[str] = []
        self._logprobs: list[dict[str, Any]] = []
        self.annotations: list[Any] = []

    @property
    def text(self) -> str:
        """What the deltas told so far."""
        return "".join(self._pieces)

    def added(self) -> bytes:
        """Return the frame that announces the part, and give it its place in the item."""
        self._item.shape[self.kind.held_in].append(self._shape())
        return self._item.told(self.kind.added, **self._place, part=self._shape())

    def delta(self, text: str, logprobs: list[dict[str, Any]]) -> bytes:
        """Return the frame of some more text."""
        self._pieces.append(text)
        self._logprobs += logprobs
        return self._item.told(self.kind.delta, **self._place, delta=text, **self._with(logprobs))

    def ended(self) -> bytes:
        """Return the frames that end the part."""
        shape = self._shape()
        self._item.shape[self.kind.held_in][self._place[self.kind.index]] = shape
        text = {self.kind.member: shape[self.kind.member]}
        return self._item.told(
            self.kind.text_done, **self._place, **text, **self._with(self._logprobs)
        ) + self._item.told(self.kind.done, **self._place, part=shape)

    def _with(self, logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"logprobs": logprobs} if self.kind is TEXT else {}

    def _shape(self) -> dict[str, Any]:
        shape: dict[str, Any] = {"type": self.kind.part, self.kind.member: self.text}
        return shape | {"annotations": self.annotations, "logprobs": self._logprobs} if self.kind is TEXT else shape

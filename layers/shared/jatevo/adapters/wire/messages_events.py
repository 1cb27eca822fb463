"""
The events of a message: what an engine tells of the items of a response, told in the words of Anthropic's API.

Guarantees: `message_start` comes first and once; blocks are numbered as they begin, one is open at a time, and what
belongs to a later one waits until it is over; a block without anything in it is none.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.wire import sse
from jatevo.adapters.wire.messages_content import UNSIGNED
from jatevo.adapters.wire.responses_events import Events

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_TEXTS = {"response.output_text.delta", "response.refusal.delta"}
_THOUGHTS = {"response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
_ARGUMENTS = "response.function_call_arguments.delta"


class MessageEvents(Events):
    """
    Writes what is told of a response as events of a message.

    `head` is the message as it begins; `thinking`: what of the thinking is shown, see `messages_request.THINKING`.
    """

    def __init__(self, head: Mapping[str, Any], thinking: str | None) -> None:
        super().__init__()
        self._head = head
        self._thinking = thinking
        self._started = False
        self._blocks = 0
        self._open: str | None = None
        self._live = 0
        self._waiting: dict[int, deque[tuple[str, Any]]] = {}

    @property
    def begun(self) -> bool:
        return self._started

    def opening(self, response: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - a message has a head of its own
        if self._started:
            return b""
        self._started = True
        return event("message_start", message=self._head) + PING

    def frame(self, kind: str, **members: Any) -> bytes:
        """Take what is told of an item; what a message has no words for is left out."""
        told: tuple[str, Any] | None = None
        if kind == "response.output_item.added" and members["item"]["type"] == "function_call":
            told = ("call", members["item"])
        elif kind in _TEXTS:
            told = ("text", members["delta"])
        elif kind in _THOUGHTS:
            told = ("thinking", members["delta"])
        elif kind == _ARGUMENTS:
            told = ("arguments", members["delta"])
        elif kind == "response.output_item.done":
            told = ("done", members["item"])
        return b"" if told is None else self._in_turn(members["output_index"], told)

    def _in_turn(self, index: int, told: tuple[str, Any]) -> bytes:
        """Tell of the item whose turn it is, and of those after it once it is over."""
        self._waiting.setdefault(index, deque()).append(told)
        frames = b""
        while waiting := self._waiting.get(self._live):
            kind, value = waiting.popleft()
            frames += self._tell(kind, value)
            if kind == "done":
                del self._waiting[self._live]
                self._live += 1
        return frames

    def _tell(self, kind: str, value: Any) -> bytes:
        if kind == "call":
            block = {"type": "tool_use", "id": value["call_id"], "name": value["name"], "input": {}}
            return self._begin("tool_use", block)
        if kind == "arguments":
            return self._delta("input_json_delta", partial_json=value)
        if kind == "text":
            return self._begin_text("text", text="") + self._delta("text_delta", text=value)
        if kind == "thinking":
            if self._thinking != "shown":
                return b""
            return self._begin_text("thinking", thinking="", signature="") + self._delta(
                "thinking_delta", thinking=value
            )
        return self._done(value)

    def _done(self, item: Mapping[str, Any]) -> bytes:
        frames = b""
        if item["type"] == "reasoning" and self._thinking is not None:
            signature = item.get("encrypted_content") or UNSIGNED
            if self._open is None and (item.get("encrypted_content") or has_text(item)):
                frames += self._begin_text("thinking", thinking="", signature="")
            if self._open is not None:
                frames += self._delta("signature_delta", signature=signature)
        if self._open is None:
            return frames
        self._open = None
        self._blocks += 1
        return frames + event("content_block_stop", index=self._blocks - 1)

    def _begin_text(self, kind: str, **members: str) -> bytes:
        return b"" if self._open is not None else self._begin(kind, {"type": kind, **members})

    def _begin(self, kind: str, block: Mapping[str, Any]) -> bytes:
        self._open = kind
        return event("content_block_start", index=self._blocks, content_block=block)

    def _delta(self, kind: str, **members: str) -> bytes:
        return event("content_block_delta", index=self._blocks, delta={"type": kind, **members})


def event(kind: str, **members: Any) -> bytes:
    """Return the frame of an event."""
    return f"event: {kind}\n".encode("ascii") + sse.frame({"type": kind, **members})


def blocks_of(output: Sequence[Mapping[str, Any]], thinking: str | None) -> list[dict[str, Any]]:
    """Return the content of a message: the blocks that the items of a response come to."""
    blocks: list[dict[str, Any]] = []
    for item in output:
        if item["type"] == "message":
            text = "".join(part.get("text", part.get("refusal", "")) for part in item["content"])
            blocks += [{"type": "text", "text": text}] if text else []
        elif item["type"] == "function_call":
            given = _object(item["arguments"])
            blocks.append({"type": "tool_use", "id": item["call_id"], "name": item["name"], "input": given})
        elif item["type"] == "reasoning" and thinking is not None:
            text = thought(item) if thinking == "shown" else ""
            if has_text(item) or item.get("encrypted_content"):
                signature = item.get("encrypted_content") or UNSIGNED
                blocks.append({"type": "thinking", "thinking": text, "signature": signature})
    return blocks


def thought(item: Mapping[str, Any]) -> str:
    """Return the text of a reasoning item, its parts in order."""
    return "".join(part.get("text", "") for part in (*item.get("content", ()), *item.get("summary", ())))


def has_text(item: Mapping[str, Any]) -> bool:
    return bool(thought(item))


def _object(arguments: str) -> dict[str, Any]:
    """Return the arguments of a call. What is no object is handed over as what it is, as Anthropic advises."""
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}

"""
What must hold of everything a client of the Messages API gets, against the types that Anthropic publishes.

The types come from the installed `anthropic` package, validated strictly.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

_EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


@dataclass
class StreamedMessage:
    """The events of one message, checked, and the message they add up to."""

    events: list[dict[str, Any]]
    message: dict[str, Any] = field(default_factory=dict)
    """Empty for a stream that broke."""

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


def check_message(message: dict[str, Any]) -> dict[str, Any]:
    """Check a whole message."""
    _MESSAGES.validate_json(json.dumps(message), strict=True)
    assert message["id"].startswith("msg_")
    assert message["stop_reason"] is not None
    assert isinstance(message["usage"]["cost_usd"], str)
    return message


def check_message_stream(data: bytes) -> StreamedMessage:
    """Check the frames of a whole stream: each for itself, their order, and what they add up to."""
    frames = data.decode().split("\n\n")
    assert frames.pop() == "", "it ends within a frame"
    streamed = StreamedMessage([_event(frame) for frame in frames])
    told = [event for event in streamed.events if event["type"] != "ping"]
    assert told[0]["type"] == "message_start"
    assert streamed.kinds.count("message_start") == 1
    message: dict[str, Any] = json.loads(json.dumps(told[0]["message"]))
    content: list[dict[str, Any]] = []
    is_open = False
    for event in told[1:]:
        kind = event["type"]
        if kind == "content_block_start":
            assert not is_open, "one block is open at a time"
            assert event["index"] == len(content)
            content.append(event["content_block"] | {"json": ""})
            is_open = True
        elif kind == "content_block_delta":
            assert is_open
            assert event["index"] == len(content) - 1
            _add(content[-1], event["delta"])
        elif kind == "content_block_stop":
            assert is_open
            assert event["index"] == len(content) - 1
            is_open = False
    if streamed.kinds[-1] == "error":
        return streamed
    assert not is_open
    assert streamed.kinds[-2:] == ["message_delta", "message_stop"]
    assert streamed.kinds.count("message_delta") == streamed.kinds.count("message_stop") == 1
    end = streamed.events[-2]
    streamed.message = check_message(
        {**message, "content": [_whole(block) for block in content], **end["delta"], "usage": end["usage"]}
    )
    return streamed


def _event(frame: str) -> dict[str, Any]:
    named, data = frame.split("\n", 1)
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert named == f"event: {event['type']}"
    if event["type"] not in {"ping", "error"}:
        _EVENTS.validate_json(json.dumps(event), strict=True)
    return event


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if delta["type"] == "input_json_delta":
        assert block["type"] == "tool_use"
        block["json"] += delta["partial_json"]
        return
    member = _TEXTS[delta["type"]]
    block[member] += delta[member]


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    pieces = block.pop("json")
    return {**block, "input": _object(pieces)} if pieces else block


def _object(pieces: str) -> dict[str, Any]:
    """Return what a tool is called with; a model may have made anything of it."""
    try:
        value = json.loads(pieces)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": pieces}

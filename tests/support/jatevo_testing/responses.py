"""
What must hold of everything a client of the Responses API gets, against the types that OpenAI publishes.

The types come from the installed `openai` package, validated strictly: no coercion, every required member there. What
its Python types leave optional and the published schema requires is listed here.
"""

import json
from dataclasses import dataclass
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

REQUIRED = {
    "id",
    "object",
    "created_at",
    "status",
    "background",
    "completed_at",
    "error",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "usage",
    "user",
}
NEVER_NULL = {
    "id",
    "object",
    "created_at",
    "status",
    "metadata",
    "model",
    "output",
    "parallel_tool_calls",
    "reasoning",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
}
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}

_EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
_RESPONSES: TypeAdapter[Response] = TypeAdapter(Response)


@dataclass(frozen=True)
class Streamed:
    """The events of one response, checked."""

    events: list[dict[str, Any]]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def last(self) -> dict[str, Any]:
        """The response of the terminal event."""
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    @property
    def text(self) -> str:
        """The text of all deltas."""
        return "".join(event["delta"] for event in self.events if event["type"] == "response.output_text.delta")


def check_response(response: dict[str, Any]) -> dict[str, Any]:
    """Check a response object against the published types."""
    _RESPONSES.validate_json(json.dumps(response), strict=True)
    assert response.keys() >= REQUIRED, REQUIRED - response.keys()
    assert not [name for name in NEVER_NULL if response[name] is None]
    assert response["id"].startswith("resp_")
    assert len({item["id"] for item in response["output"]}) == len(response["output"])
    if response["status"] in {"completed", "incomplete"}:
        assert isinstance(response["usage"]["cost_usd"], str)
        assert all(item.get("status") != "in_progress" for item in response["output"])
    assert (response["incomplete_details"] is not None) == (response["status"] == "incomplete")
    assert (response["error"] is not None) == (response["status"] == "failed")
    return response


def check_stream(data: bytes) -> Streamed:
    """Check the frames of a whole stream: each for itself, and their order."""
    frames = data.decode().split("\n\n")
    assert frames.pop() == "", "it ends within a frame"
    told = [frame for frame in frames if not frame.startswith(":")]
    streamed = Streamed([_event(frame) for frame in told])
    _check_order(streamed)
    return streamed


def _event(frame: str) -> dict[str, Any]:
    named, data = frame.split("\n", 1)
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert named == f"event: {event['type']}"
    _EVENTS.validate_json(json.dumps(event), strict=True)
    if "response" in event:
        check_response(event["response"])
    return event


def _check_order(streamed: Streamed) -> None:
    events = streamed.events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert streamed.kinds[:2] == ["response.created", "response.in_progress"]
    assert streamed.kinds[-1] in TERMINAL
    assert not TERMINAL & set(streamed.kinds[:-1])
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    told = _Told()
    for event in events:
        told.note(event)
    if streamed.kinds[-1] != "response.failed":
        assert told.done == streamed.last["output"]
        assert not told.open


class _Told:
    """Follows the items of a stream, as a client does that puts them together."""

    def __init__(self) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.open: set[int] = set()
        self.parts: dict[tuple[int, str, int], str] = {}
        self.calls: dict[int, str] = {}

    @property
    def done(self) -> list[dict[str, Any]]:
        return [self.items[index] for index in sorted(self.items)]

    def note(self, event: dict[str, Any]) -> None:
        kind, index = event["type"], event.get("output_index", -1)
        if kind == "response.output_item.added":
            assert index == len(self.items)
            self.items[index] = event["item"]
            self.open.add(index)
            assert event["item"].get("status", "in_progress") == "in_progress"
        elif kind == "response.output_item.done":
            assert event["item"]["id"] == self.items[index]["id"]
            self.open.remove(index)
            self.items[index] = event["item"]
        elif "item_id" in event:
            assert index in self.open
            assert event["item_id"] == self.items[index]["id"]
            self._note_piece(kind, index, event)

    def _note_piece(self, kind: str, index: int, event: dict[str, Any]) -> None:
        part = next((name for name in ("content_index", "summary_index") if name in event), None)
        if part is None:
            if kind.endswith(".delta"):
                self.calls[index] = self.calls.get(index, "") + event["delta"]
            elif kind.endswith(".done"):
                assert self.calls.get(index, "") == event.get("arguments", event.get("input"))
            return
        key = (index, part, event[part])
        if kind.endswith("part.added"):
            assert key not in self.parts
            self.parts[key] = ""
        elif kind.endswith(".delta"):
            self.parts[key] += event["delta"]
        elif kind.endswith("part.done"):
            assert event["part"].get("text", event["part"].get("refusal")) == self.parts[key]
        else:
            assert event.get("text", event.get("refusal")) == self.parts[key]

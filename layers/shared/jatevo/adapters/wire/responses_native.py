"""
Responses over upstreams that speak the same format.

The request goes out as it is, with the gateway's model name, cap and `store: false`: what is stored is stored here, so
earlier turns travel as items. Of the answer only what it produced is taken; the response object around it, all ids,
numbers and the terminal event are the gateway's, so that nothing of the upstream shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.wire import sse
from jatevo.adapters.wire.chat_answer import says_too_long
from jatevo.adapters.wire.chat_reading import json_object, named_model
from jatevo.adapters.wire.chat_usage import counts_of
from jatevo.adapters.wire.checks import is_one_of
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.responses_events import Events
from jatevo.adapters.wire.responses_files import as_text
from jatevo.adapters.wire.responses_items import KNOWN
from jatevo.adapters.wire.responses_native_items import NativeItems
from jatevo.adapters.wire.responses_object import ResponseObject
from jatevo.adapters.wire.responses_readers import ResponsesAnswerReader, ResponsesStreamReader, Source
from jatevo.adapters.wire.responses_to_chat import asks_logprobs, chat_fields, unknown_reasoning
from jatevo.adapters.wire.responses_translated import unsupported
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.application.responses import Item
from jatevo.domain.catalogue import Pool
from jatevo.domain.refusals import Refusal
from jatevo.domain.tokens import TokenUsage

_WHOLE = frozenset({"completed", "incomplete"})
_ENDINGS = {f"response.{status}": status for status in _WHOLE}
_FAILURES = frozenset({"error", "response.failed", "response.cancelled"})
_REASONS = frozenset({"max_output_tokens", "content_filter"})


class NativeResponses:
    """The engine over the same format."""

    path = "/responses"

    def __init__(self, wording: ErrorWording) -> None:
        self._wording = wording

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        name = next((name for name in request.body if not pool.passes_responses(name)), None)
        name = name or unknown_reasoning(request.body)
        return None if name is None else unsupported(name, request.model)

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        fields = {name: value for name, value in request.body.items() if pool.passes_responses(name)}
        return {
            **fields,
            "input": [sent for item in request.body["input"] if (sent := _sent(item)) is not None],
            "model": model,
            "max_output_tokens": output_cap,
            "stream": request.stream,
            "store": False,
        }

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any] | None:  # noqa: ARG002 - all alike
        """A chat template shows neither reasoning nor what chat does not know: such requests stay estimated."""
        shown = all(item["type"] in KNOWN and item["type"] != "reasoning" for item in request.body["input"])
        offered = all(tool["type"] == "function" for tool in request.body.get("tools", ()))
        return chat_fields(request.body) if shown and offered else None

    def says_too_long(self, body: bytes) -> bool:
        return says_too_long(body)

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> ResponsesStreamReader:
        return ResponsesStreamReader(self.source(request, reservation_id, Events()), self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> ResponsesAnswerReader:
        return ResponsesAnswerReader(self.source(request, reservation_id, Events()))

    def source(self, request: InferenceRequest, reservation_id: str, events: Events) -> Source:
        return _NativeSource(request, reservation_id, events)


class _NativeSource:
    """A response of an upstream as the items of ours."""

    def __init__(self, request: InferenceRequest, reservation_id: str, events: Events) -> None:
        self.events = events
        self.response = ResponseObject(request, reservation_id, request.body.get("tools", ()))
        self._items = NativeItems(self.events, self.response.id, logprobs=asks_logprobs(request.body))
        self._parser = sse.SseParser()
        self._usage: TokenUsage | None = None
        self._garbled = False
        self._answered_as: str | None = None
        self.done = False
        self.incomplete: str | None = None
        self.stopped_by: str | None = None

    @property
    def output(self) -> Sequence[Mapping[str, Any]]:
        return self._items.output

    def whole(self, data: bytes) -> Reading:
        answer = json_object(data)
        if answer is None or not is_one_of(answer.get("status", "completed"), _WHOLE):
            return Reading(garbled=True)
        if not isinstance(answer.get("output"), list):
            return Reading(garbled=True)
        self._end(answer)
        self.close()
        return self.reading()

    def feed(self, data: bytes) -> bytes:
        if self._garbled or self.done:
            return b""
        try:
            events = self._parser.feed(data)
        except sse.FrameTooLong:
            self._garbled = True
            return b""
        return b"".join(map(self._event, events))

    def reading(self) -> Reading:
        return Reading(
            usage=self._usage,
            produced_bytes=self._items.produced_bytes,
            finished=self.done,
            garbled=self._garbled,
            answered_as=self._answered_as,
        )

    def close(self) -> bytes:
        return self._items.close(cut=self.incomplete is not None)

    def _event(self, data: bytes) -> bytes:
        if self._garbled or self.done:
            return b""
        event = json_object(data)
        kind = None if event is None else event.get("type")
        if event is None or not isinstance(kind, str) or kind in _FAILURES:
            self._garbled = True
            return b""
        frames = self.events.opening(self.response.begun())
        if kind in _ENDINGS:
            response = event.get("response")
            return frames + self._end({**(response if isinstance(response, dict) else {}), "status": _ENDINGS[kind]})
        return frames + self._items.feed(kind, event)

    def _end(self, response: Mapping[str, Any]) -> bytes:
        """Take the whole response, as the last event or the answer has it."""
        self.done = True
        self._usage = reported_usage(response.get("usage"))
        self._answered_as = named_model(response)
        if response.get("status") == "incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, Mapping) else None
            self.incomplete = reason if isinstance(reason, str) and reason in _REASONS else "max_output_tokens"
        return self._items.whole(response.get("output"))


def reported_usage(usage: Any) -> TokenUsage | None:
    """Return the counts of a response's `usage` object, or None when it is none."""
    return counts_of(usage, "input_tokens", "output_tokens", "cache_write_tokens")


def _sent(item: Item) -> Item | None:
    """
    Return an item as an upstream gets it: without an id, which is ours and unknown there, and text files as text.

    Reasoning goes back only with what an upstream can read of it; a call that was cut off and has no output does not.
    """
    if item["type"] not in KNOWN:
        return item
    sent = {name: value for name, value in item.items() if name != "id"}
    if item["type"] == "reasoning":
        return {"summary": [], **sent} if item.get("content") or item.get("encrypted_content") else None
    if item.get("status") == "incomplete" and "call_id" in item:
        return None
    for member in ("content", "output"):
        if isinstance(item.get(member), list):
            sent[member] = [_sent_part(part) for part in item[member]]
    return sent


def _sent_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    text = as_text(part) if part.get("type") == "input_file" else None
    return part if text is None else {"type": "input_text", "text": text}

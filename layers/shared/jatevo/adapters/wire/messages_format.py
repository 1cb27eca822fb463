"""
The Messages format of Anthropic's API, over every kind of upstream: a response in other words.

Guarantees: ids, model and usage are the gateway's; input counts, those of caches among them, add up to what was
charged; nothing of a message is kept.
"""

from collections.abc import Mapping
from typing import Any

from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.messages_errors import messages_error
from jatevo.adapters.wire.messages_events import MessageEvents, blocks_of, event
from jatevo.adapters.wire.messages_request import STOP, THINKING, sent_as
from jatevo.adapters.wire.responses_format import ResponsesFormat
from jatevo.adapters.wire.responses_readers import Source
from jatevo.adapters.wire.responses_retold import Engine, Retold
from jatevo.adapters.wire.responses_translated import unsupported
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.domain.catalogue import Pool
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Refusal

_NOTHING_COUNTED = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
    "service_tier": "standard",
}
"""The usage of a message that begins: how much there is, is known when it is settled, and told then."""


class MessagesFormat:
    """Messages, by pool."""

    input_field = "messages"

    def __init__(self, wording: ErrorWording) -> None:
        self._responses = ResponsesFormat(wording)
        self._wording = wording

    def for_pool(self, pool: Pool) -> "_Messages | None":
        engine = self._responses.for_pool(pool)
        return None if engine is None else _Messages(engine, self._wording)


class _Messages(Retold):
    """Messages over one engine."""

    def __init__(self, engine: Engine, wording: ErrorWording) -> None:
        super().__init__(engine)
        self._wording = wording

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        refusal = super().refusal(request, pool)
        return None if refusal is None else unsupported(sent_as(refusal.param or ""), request.model)

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> "_MessageStreamReader":
        return _MessageStreamReader(self.engine, request, reservation_id, self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> "_MessageReader":
        return _MessageReader(self.engine, request, reservation_id)


class _Message:
    """The message that a request is answered with, and what reads it."""

    def __init__(self, engine: Engine, request: InferenceRequest, reservation_id: str) -> None:
        self.thinking: str | None = request.echo[THINKING]
        self._stops: tuple[str, ...] = request.echo[STOP]
        self.head: dict[str, Any] = {
            "id": f"msg_{reservation_id}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _NOTHING_COUNTED,
        }
        self.events = MessageEvents(self.head, self.thinking)
        self.source: Source = engine.source(request, reservation_id, self.events)

    def stop(self) -> dict[str, Any]:
        """Return why the message ended."""
        sequence = self.source.stopped_by if self.source.stopped_by in self._stops else None
        return {"stop_reason": "stop_sequence" if sequence else _reason(self.source), "stop_sequence": sequence}


class _MessageReader:
    """Reads a message in one piece."""

    def __init__(self, engine: Engine, request: InferenceRequest, reservation_id: str) -> None:
        self._message = _Message(engine, request, reservation_id)

    def read(self, data: bytes) -> Reading:
        return self._message.source.whole(data)

    def body(self, entry: LedgerEntry) -> bytes:
        message = self._message
        content = blocks_of(message.source.output, message.thinking)
        answer = {**message.head, "content": content, **message.stop(), "usage": shown_usage(entry)}
        return json_bytes(answer)

    def settled(self, entry: LedgerEntry) -> None:
        """Messages are not kept."""

    def unkept(self) -> None:
        """Messages never are."""


class _MessageStreamReader:
    """Reads a message as it comes."""

    def __init__(self, engine: Engine, request: InferenceRequest, reservation_id: str, wording: ErrorWording) -> None:
        self._message = _Message(engine, request, reservation_id)
        self._source = self._message.source
        self._wording = wording

    @property
    def done(self) -> bool:
        return self._source.done

    def feed(self, data: bytes) -> bytes:
        return self._source.feed(data)

    def reading(self) -> Reading:
        return self._source.reading()

    def ending(self, entry: LedgerEntry) -> bytes:
        frames = self._message.events.opening({}) + self._source.close()
        told = event("message_delta", delta=self._message.stop(), usage=shown_usage(entry))
        return frames + told + event("message_stop")

    def settled(self, entry: LedgerEntry) -> None:
        """Messages are not kept."""

    def unkept(self) -> None:
        """Messages never are."""

    def failure(self, refusal: Refusal) -> bytes:
        body = messages_error(refusal, 0, self._wording, None).body
        return event("error", error=body["error"])


def shown_usage(entry: LedgerEntry) -> dict[str, Any]:
    """Return the usage of a message: the counts that were charged, and what its user pays."""
    usage = entry.usage
    cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    return {
        "input_tokens": usage.input_tokens - cached,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_creation_input_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_output_tokens},
        "service_tier": "standard",
        "cost_usd": format_usd(entry.figures.resale_nano_usd),
    }


def _reason(source: Source) -> str:
    if source.incomplete is not None:
        return "max_tokens" if source.incomplete == "max_output_tokens" else "refusal"
    if any(item["type"] == "function_call" for item in source.output):
        return "tool_use"
    return "refusal" if any(map(_refuses, source.output)) else "end_turn"


def _refuses(item: Mapping[str, Any]) -> bool:
    return item["type"] == "message" and any(part["type"] == "refusal" for part in item["content"])

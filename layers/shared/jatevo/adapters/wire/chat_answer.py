"""
Chat completion answers: the upstream's, whole or streamed, into the client's.

Guarantees: only OpenAI's own top-level fields leave, under the gateway's id and the public model name, so that nothing
of an upstream shows; `choices` pass as they are; the usage shown is the usage charged, with `cost_usd`.
"""

import json
from collections.abc import Mapping
from typing import Any

from jatevo.adapters.wire import sse
from jatevo.adapters.wire.chat_request import upstream_chat_body
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.domain.catalogue import Pool
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Refusal
from jatevo.domain.tokens import TokenUsage


class ChatFormat:
    """Chat completions, over upstreams that speak the same."""

    path = "/chat/completions"

    def __init__(self, wording: ErrorWording) -> None:
        self._wording = wording

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        return upstream_chat_body(request, pool, model=model, output_cap=output_cap)

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatStreamReader":
        return ChatStreamReader(request, reservation_id, self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatAnswerReader":
        return ChatAnswerReader(request, reservation_id)


class ChatAnswerReader:
    """Reads one `chat.completion` object."""

    def __init__(self, request: InferenceRequest, reservation_id: str) -> None:
        self._head = _head("chat.completion", request, reservation_id)
        self._choices: list[Any] = []

    def read(self, data: bytes) -> Reading:
        answer = _object(data)
        choices = None if answer is None else answer.get("choices")
        if answer is None or not _are_choices(choices, "message") or not choices:
            return Reading(garbled=True)
        self._choices = choices
        produced = sum(_length(choice["message"]) for choice in choices)
        return Reading(usage=reported_usage(answer.get("usage")), produced_bytes=produced, finished=True)

    def body(self, entry: LedgerEntry) -> bytes:
        answer = {**self._head, "choices": self._choices, "usage": shown_usage(entry)}
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class ChatStreamReader:
    """
    Reads a stream of `chat.completion.chunk` objects.

    The usage frame and the end marker are held back: `ending` writes them once the request is settled.
    """

    def __init__(self, request: InferenceRequest, reservation_id: str, wording: ErrorWording) -> None:
        self._head = _head("chat.completion.chunk", request, reservation_id)
        self._include_usage = request.include_usage
        self._choices = request.choices
        self._wording = wording
        self._parser = sse.SseParser()
        self._usage: TokenUsage | None = None
        self._produced = 0
        self._finished: set[int] = set()
        self._done = False
        self._garbled = False

    def feed(self, data: bytes) -> bytes:
        if self._garbled or self._done:
            return b""
        try:
            events = self._parser.feed(data)
        except sse.FrameTooLong:
            self._garbled = True
            return b""
        return b"".join(map(self._event, events))

    def reading(self) -> Reading:
        finished = self._done or len(self._finished) >= self._choices
        return Reading(
            usage=self._usage,
            produced_bytes=self._produced,
            finished=finished and not self._garbled,
            garbled=self._garbled,
        )

    @property
    def done(self) -> bool:
        """The end marker came: nothing more will."""
        return self._done

    def ending(self, entry: LedgerEntry) -> bytes:
        if not self._include_usage:
            return sse.DONE
        return sse.frame({**self._head, "choices": [], "usage": shown_usage(entry)}) + sse.DONE

    def failure(self, refusal: Refusal) -> bytes:
        return sse.frame(wire_error(refusal, 0, self._wording).body)

    def _event(self, data: bytes) -> bytes:
        if self._garbled or self._done:
            return b""
        if data.strip() == b"[DONE]":
            self._done = True
            return b""
        chunk = _object(data)
        choices = None if chunk is None else chunk.get("choices")
        if chunk is None or not _are_choices(choices, "delta"):
            self._garbled = True
            return b""
        if chunk.get("usage") is not None:
            self._usage = reported_usage(chunk["usage"])
        if not choices:
            return b""
        for choice in choices:
            self._produced += _length(choice["delta"])
            if choice.get("finish_reason") is not None:
                self._finished.add(choice.get("index", 0))
        shown = {**self._head, "choices": choices}
        if self._include_usage:
            shown["usage"] = None
        return sse.frame(shown)


def reported_usage(usage: Any) -> TokenUsage | None:
    """
    Return the counts of a chat `usage` object, or None when it is none.

    Some upstreams count reasoning apart from `completion_tokens`, so output is the larger of that and what is left of
    the total.
    """
    if not isinstance(usage, dict):
        return None
    prompt_details, completion_details = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    counts = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    if any(count is None for count in counts[:2]):
        return None
    prompt, completion, total = (count or 0 for count in counts)
    return TokenUsage(
        input_tokens=prompt,
        output_tokens=max(completion, total - prompt),
        cache_read_input_tokens=_count(prompt_details, "cached_tokens") or 0,
        cache_creation_input_tokens=_count(prompt_details, "cache_creation_tokens") or 0,
        image_input_tokens=_count(prompt_details, "image_tokens") or 0,
        audio_input_tokens=_count(prompt_details, "audio_tokens") or 0,
        reasoning_output_tokens=_count(completion_details, "reasoning_tokens") or 0,
        audio_output_tokens=_count(completion_details, "audio_tokens") or 0,
    )


def shown_usage(entry: LedgerEntry) -> dict[str, Any]:
    """Return the usage object of an answer: the counts that were charged, and the charge."""
    usage = entry.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_output_tokens,
            "audio_tokens": usage.audio_output_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "cost_usd": format_usd(entry.figures.charge_nano_usd),
    }


def _head(kind: str, request: InferenceRequest, reservation_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reservation_id}",
        "object": kind,
        "created": reserved_at_ms(reservation_id) // 1000,
        "model": request.model,
    }


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value.get("error") is None else None


def _are_choices(choices: Any, member: str) -> bool:
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get(member), dict) and isinstance(choice.get("index", 0), int)
        for choice in choices
    )


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _length(value: Any) -> int:
    """Return the bytes of text a message or delta carries, wherever in it: content, reasoning, tool arguments."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return sum(_length(member) for name, member in value.items() if name not in {"role", "type", "id"})
    return sum(map(_length, value)) if isinstance(value, list) else 0

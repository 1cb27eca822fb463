"""
Chat completion answers: the upstream's, whole or streamed, into the client's.

Guarantees: only OpenAI's own fields of an answer and of its choices leave, under the gateway's id and the public model
name, so that nothing of an upstream shows; messages and deltas pass as they are; the usage shown is the usage charged,
with `cost_usd`. What is no answer, nests without end or says itself that it failed is garbled, and none of it leaves.
"""

import json
from collections.abc import Mapping
from typing import Any

from jatevo.adapters.wire import sse, strict_json
from jatevo.adapters.wire.chat_assembly import assembled
from jatevo.adapters.wire.chat_request import unsupported_chat_field, upstream_chat_body
from jatevo.adapters.wire.chat_usage import UsageCounter, reported_usage, shown_usage
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.domain.catalogue import Pool
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Refusal
from jatevo.domain.tokens import TokenUsage

_SHOWN_OF_A_CHOICE = ("index", "message", "delta", "finish_reason", "logprobs")


_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
"""How OpenAI, and llama.cpp, say that an input is longer than the context."""


CHAT = "chat"
"""What pools list in `wire` that speak this format."""


class ChatFormat:
    """Chat completions, over upstreams that speak the same."""

    path = "/chat/completions"
    input_field = "messages"

    def __init__(self, wording: ErrorWording) -> None:
        self._wording = wording

    def for_pool(self, pool: Pool) -> "ChatFormat | None":
        """Chat is served by pools that speak it, as it is."""
        return self if CHAT in pool.wire else None

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        return unsupported_chat_field(request, pool)

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any]:
        return upstream_chat_body(request, pool, model="", output_cap=1)

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        return upstream_chat_body(request, pool, model=model, output_cap=output_cap)

    def says_too_long(self, body: bytes) -> bool:
        try:
            error = json.loads(body)["error"]
            return bool({error.get("code"), error.get("type")} & _TOO_LONG)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return False

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatStreamReader":
        return ChatStreamReader(request, reservation_id, self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatAnswerReader":
        return ChatAnswerReader(request, reservation_id)


class ChatAnswerReader:
    """Reads one `chat.completion` object."""

    def __init__(self, request: InferenceRequest, reservation_id: str) -> None:
        self._head = _head("chat.completion", request, reservation_id)
        self._wanted = request.choices
        self._choices: list[Any] = []

    def read(self, data: bytes) -> Reading:
        is_object = data.lstrip().startswith(b"{")
        choices, usage = _from_object(data) if is_object else self._from_stream(data)
        if not choices or not _are_choices(choices, "message"):
            return Reading(garbled=True)
        self._choices = _shown(choices)
        produced = sum(_length(choice["message"]) for choice in choices)
        return Reading(usage=usage, produced_bytes=produced, finished=True)

    def _from_stream(self, data: bytes) -> tuple[list[Any], TokenUsage | None]:
        """Put an answer together that had to be asked for as a stream."""
        try:
            events = [event.strip() for event in sse.SseParser().feed(data)]
        except sse.FrameTooLong:
            return [], None
        read = [_chunk(event) for event in events if event != b"[DONE]"]
        chunks = [chunk for chunk in read if chunk is not None]
        if len(chunks) < len(read):
            return [], None
        counter = UsageCounter(self._wanted)
        for chunk in chunks:
            counter.note(chunk)
        choices = assembled(chunks)
        whole = b"[DONE]" in events or sum(choice["finish_reason"] is not None for choice in choices) >= self._wanted
        return (choices if whole else []), counter.usage

    def body(self, entry: LedgerEntry) -> bytes:
        answer = {**self._head, "choices": self._choices, "usage": shown_usage(entry)}
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")

    def settled(self, entry: LedgerEntry) -> None:
        """Chat completions are not kept."""

    def unkept(self) -> None:
        """Chat completions never are."""


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
        self._counter = UsageCounter(request.choices)
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
            usage=self._counter.usage,
            produced_bytes=self._produced,
            finished=finished,
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

    def settled(self, entry: LedgerEntry) -> None:
        """Chat completions are not kept."""

    def unkept(self) -> None:
        """Chat completions never are."""

    def failure(self, refusal: Refusal) -> bytes:
        return sse.frame(wire_error(refusal, 0, self._wording).body)

    def _event(self, data: bytes) -> bytes:
        if self._garbled or self._done:
            return b""
        if data.strip() == b"[DONE]":
            self._done = True
            return b""
        chunk = _chunk(data)
        if chunk is None:
            # What comes after the last choice has finished cannot unfinish it.
            self._done = self.reading().finished
            self._garbled = not self._done
            return b""
        choices = chunk["choices"]
        self._counter.note(chunk)
        if not choices:
            return b""
        for choice in choices:
            self._produced += _length(choice["delta"])
            if choice.get("finish_reason") is not None:
                self._finished.add(choice.get("index", 0))
        shown = {**self._head, "choices": _shown(choices)}
        if self._include_usage:
            shown["usage"] = None
        return sse.frame(shown)


def _head(kind: str, request: InferenceRequest, reservation_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reservation_id}",
        "object": kind,
        "created": reserved_at_ms(reservation_id) // 1000,
        "model": request.model,
    }


def _chunk(data: bytes) -> dict[str, Any] | None:
    """
    Return one chunk with its choices, None for what is none.

    Frames that only tell the usage may have no choices, and a choice that only finishes may have no delta.
    """
    chunk = _object(data)
    if chunk is None or not (chunk.get("choices") is not None or chunk.get("usage") is not None):
        return None
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        return None
    choices = [_with_delta(choice) for choice in choices]
    return {**chunk, "choices": choices} if _are_choices(choices, "delta") else None


def _with_delta(choice: Any) -> Any:
    return {**choice, "delta": choice.get("delta") or {}} if isinstance(choice, dict) else choice


def _from_object(data: bytes) -> tuple[list[Any], TokenUsage | None]:
    answer = _object(data) or {}
    choices = answer.get("choices")
    return (choices if isinstance(choices, list) else []), reported_usage(answer.get("usage"))


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = strict_json.loads(data)
    except strict_json.BadJson:
        return None
    return value if isinstance(value, dict) and value.get("error") is None else None


def _are_choices(choices: Any, member: str) -> bool:
    return isinstance(choices, list) and all(_is_choice(choice, member) for choice in choices)


def _is_choice(choice: Any, member: str) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get(member), dict):
        return False
    failed = choice.get("error") is not None or choice.get("finish_reason") == "error"
    return isinstance(choice.get("index", 0), int) and not failed


def _shown(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: choice[name] for name in _SHOWN_OF_A_CHOICE if name in choice} for choice in choices]


def _length(value: Any) -> int:
    """Return the bytes of text a message or delta carries, wherever in it: content, reasoning, tool arguments."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return sum(_length(member) for name, member in value.items() if name not in {"role", "type", "id"})
    return sum(map(_length, value)) if isinstance(value, list) else 0

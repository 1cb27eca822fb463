"""
Chat completion answers: the upstream's, whole or streamed, into the client's.

Guarantees: only OpenAI's own fields of an answer and of its choices leave, under the gateway's id and the public model
name, so that nothing of an upstream shows; messages and deltas pass as they are; the usage shown is the usage charged,
with `cost_usd`.
"""

import json
from collections.abc import Mapping
from typing import Any

from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire import sse
from jatevo.adapters.wire.chat_alike import Alike
from jatevo.adapters.wire.chat_reading import ChatAnswer, ChatStream, parsed_chunk
from jatevo.adapters.wire.chat_request import unsupported_chat_field, upstream_chat_body
from jatevo.adapters.wire.chat_usage import shown_usage
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.domain.catalogue import Pool
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Refusal

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
        return says_too_long(body)

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatStreamReader":
        return ChatStreamReader(request, reservation_id, self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> "ChatAnswerReader":
        return ChatAnswerReader(request, reservation_id)


class ChatAnswerReader:
    """Reads one `chat.completion` object."""

    def __init__(self, request: InferenceRequest, reservation_id: str) -> None:
        self._head = _head("chat.completion", request, reservation_id)
        self._answer = ChatAnswer(request.choices)

    def read(self, data: bytes) -> Reading:
        return self._answer.read(data)

    def body(self, entry: LedgerEntry) -> bytes:
        answer = {**self._head, "choices": _shown(self._answer.choices), "usage": shown_usage(entry)}
        return json_bytes(answer)

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
        self._wording = wording
        self._stream = ChatStream(request.choices)
        self._alike = Alike(parsed_chunk, self._frame)

    def feed(self, data: bytes) -> bytes:
        return b"".join([self._event(event) for event in self._stream.events(data)])

    def reading(self) -> Reading:
        return self._stream.reading()

    @property
    def done(self) -> bool:
        """The end marker came: nothing more will."""
        return self._stream.done

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
        alike = self._alike.shown(data)
        if alike is not None and not self._stream.ended:
            shown, size = alike
            self._stream.take_text(size)
            return shown
        choices = self._stream.take(data)
        if not choices:
            return b""
        self._alike.learn(data)
        return self._frame(choices)

    def _frame(self, choices: list[dict[str, Any]]) -> bytes:
        shown = {**self._head, "choices": _shown(choices)}
        if self._include_usage:
            shown["usage"] = None
        return sse.frame(shown)


def says_too_long(body: bytes) -> bool:
    """Return whether an upstream's error means that the input does not fit the model's context."""
    try:
        error = json.loads(body)["error"]
        return bool({error.get("code"), error.get("type")} & _TOO_LONG)
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return False


def _head(kind: str, request: InferenceRequest, reservation_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reservation_id}",
        "object": kind,
        "created": reserved_at_ms(reservation_id) // 1000,
        "model": request.model,
    }


def _shown(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: choice[name] for name in _SHOWN_OF_A_CHOICE if name in choice} for choice in choices]

"""Responses over upstreams that speak chat: the request translated there, the answer back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jatevo.adapters.wire.chat_answer import says_too_long
from jatevo.adapters.wire.chat_reading import ChatAnswer, ChatStream
from jatevo.adapters.wire.chat_request import unsupported_chat_field, upstream_chat_body
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.responses_events import Events
from jatevo.adapters.wire.responses_from_chat import ChatItems, Wishes
from jatevo.adapters.wire.responses_object import ResponseObject
from jatevo.adapters.wire.responses_readers import ResponsesAnswerReader, ResponsesStreamReader, Source
from jatevo.adapters.wire.responses_to_chat import (
    asks_logprobs,
    chat_fields,
    offered_tools,
    origin,
    unknown_fields,
    untranslatable,
)
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.domain.catalogue import Pool
from jatevo.domain.refusals import Code, Refusal, shown

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class TranslatedResponses:
    """The engine over chat."""

    path = "/chat/completions"

    def __init__(self, wording: ErrorWording) -> None:
        self._wording = wording

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        name = untranslatable(request.body)
        name = name or next((name for name in unknown_fields(request.body) if name not in pool.pass_fields), None)
        if name is not None:
            return unsupported(name, request.model)
        refusal = unsupported_chat_field(_as_chat(request), pool)
        return None if refusal is None else unsupported(origin(refusal.param or ""), request.model)

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        return upstream_chat_body(_as_chat(request), pool, model=model, output_cap=output_cap)

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any]:
        return self.upstream_body(request, pool, model="", output_cap=1)

    def says_too_long(self, body: bytes) -> bool:
        return says_too_long(body)

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> ResponsesStreamReader:
        return ResponsesStreamReader(self.source(request, reservation_id, Events()), self._wording)

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> ResponsesAnswerReader:
        return ResponsesAnswerReader(self.source(request, reservation_id, Events()))

    def source(self, request: InferenceRequest, reservation_id: str, events: Events) -> Source:
        return _ChatSource(request, reservation_id, events)


class _ChatSource:
    """A chat answer as the items of a response."""

    def __init__(self, request: InferenceRequest, reservation_id: str, events: Events) -> None:
        self.events = events
        self.response = ResponseObject(request, reservation_id, offered_tools(request.body))
        self._stream = ChatStream(1)
        self._items = ChatItems(self.events, self.response.id, _wishes(request.body))
        self._finish: str | None = None
        self.stopped_by: str | None = None

    @property
    def done(self) -> bool:
        return self._stream.done

    @property
    def incomplete(self) -> str | None:
        return None if self._finish is None else _INCOMPLETE.get(self._finish)

    @property
    def output(self) -> Sequence[Mapping[str, Any]]:
        return self._items.output

    def whole(self, data: bytes) -> Reading:
        answer = ChatAnswer(1)
        reading = answer.read(data)
        for choice in answer.choices[:1]:
            self._take(choice, choice["message"])
            self.close()
        return reading

    def feed(self, data: bytes) -> bytes:
        frames = b""
        for choices in self._stream.feed(data):
            frames += self.events.opening(self.response.begun())
            for choice in choices:
                if choice.get("index", 0) == 0:
                    frames += self._take(choice, choice["delta"])
        return frames

    def reading(self) -> Reading:
        return self._stream.reading()

    def close(self) -> bytes:
        return self._items.close(cut=self.incomplete is not None)

    def _take(self, choice: Mapping[str, Any], delta: Mapping[str, Any]) -> bytes:
        frames = self._items.feed(delta, choice.get("logprobs"))
        finish = choice.get("finish_reason")
        if isinstance(finish, str):
            self._finish = finish
            matched = choice.get("stop_reason", choice.get("matched_stop"))  # as vLLM, and SGLang, call it
            self.stopped_by = matched if isinstance(matched, str) else None
            frames += self.close()
        return frames


def unsupported(name: str, model: str) -> Refusal:
    """Return the refusal of what no route of a model takes."""
    name = shown(name)
    param = "input" if name.startswith("input ") else name
    what = f"Input{name.removeprefix('input')}" if param == "input" else f"The field '{name}'"
    return Refusal(Code.UNSUPPORTED_PARAMETER, f"{what} is not supported by the model '{model}'.", param=param)


def _as_chat(request: InferenceRequest) -> InferenceRequest:
    return replace(request, body=chat_fields(request.body))


def _wishes(body: Mapping[str, Any]) -> Wishes:
    reasoning = body.get("reasoning", {})
    return Wishes(
        custom_tools=frozenset(tool["name"] for tool in body.get("tools", ()) if tool["type"] == "custom"),
        reasoning_summary=any(reasoning.get(name) is not None for name in ("summary", "generate_summary")),
        logprobs=asks_logprobs(body),
    )

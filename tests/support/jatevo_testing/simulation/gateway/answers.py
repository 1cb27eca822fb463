"""
What upstreams say, in either format: chat completions, or responses.

An honest one obeys the cap that it is sent and counts what it says; the fates of `pools` say what becomes of the rest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jatevo_testing.simulation.gateway.goods import HIDDEN

RESPONSES_PATH = "/responses"
"""Where an upstream is asked that speaks responses itself."""


def said(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a body shows its model, in either format: who said it, and the text."""
    return [(message["role"], _text(message["content"])) for message in body.get("messages", body.get("input", ()))]


def honest_input(body: Mapping[str, Any]) -> int:
    """Return how many tokens a body's messages are to our tokenizer: four bytes each, and some around them."""
    messages = [{"role": role, "content": text} for role, text in said(body)]
    return len(json.dumps(messages)) // 4 + 3 * len(messages)


def cap_of(body: Mapping[str, Any]) -> int | None:
    """Return the cap on output that a body carries."""
    caps = [body[name] for name in ("max_tokens", "max_completion_tokens", "max_output_tokens") if name in body]
    return caps[0] if caps and isinstance(caps[0], int) else None


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@dataclass(frozen=True)
class Said:
    """One answer: so many words for each choice, and the tokens that are told: input, output, cached; None: nothing."""

    words: int
    choices: int
    counts: tuple[int, int, int] | None
    model: str

    @property
    def text(self) -> str:
        return "x " * self.words


class Speech(Protocol):
    """A format. `whole`: an answer in one piece; `streamed`: its events; `failed`: the event that says it failed."""

    def whole(self, answer: Said) -> dict[str, Any]: ...

    def streamed(self, answer: Said) -> list[bytes]: ...

    def failed(self) -> bytes: ...


class Chat:
    """Chat completions. `ended`: it says so at the end of a stream."""

    def __init__(self, *, ended: bool) -> None:
        self._ended = ended

    def whole(self, answer: Said) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text}
        choices = [{"index": index, "message": message, "finish_reason": "stop"} for index in range(answer.choices)]
        return {**_head(answer, "chat.completion"), "choices": choices, **self._usage(answer)}

    def streamed(self, answer: Said) -> list[bytes]:
        head, half = _head(answer, "chat.completion.chunk"), max(1, answer.words)
        events: list[dict[str, Any]] = []
        for index in range(answer.choices):
            deltas = [{"content": answer.text[:half]}, {"content": answer.text[half:]}, {}]
            events += [
                {"choices": [{"index": index, "delta": delta, "finish_reason": None if delta else "stop"}]}
                for delta in deltas
            ]
        if answer.counts is not None:
            events.append({"choices": [], **self._usage(answer)})
        spoken = [event(head | one) for one in events]
        return [*spoken, b"data: [DONE]\n\n"] if self._ended else spoken

    def failed(self) -> bytes:
        return event({"error": {"message": f"{HIDDEN} failed"}})

    @staticmethod
    def _usage(answer: Said) -> dict[str, Any]:
        return _usage(answer, "prompt_tokens", "completion_tokens")


class Native:
    """Responses."""

    def whole(self, answer: Said) -> dict[str, Any]:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        item = {"id": f"{HIDDEN}-2", "type": "message", "role": "assistant", "status": "completed", "content": content}
        usage = _usage(answer, "input_tokens", "output_tokens")
        return {**_head(answer, "response"), "status": "completed", "output": [item], **usage}

    def streamed(self, answer: Said) -> list[bytes]:
        whole, half = self.whole(answer), max(1, answer.words)
        begun = {**whole["output"][0], "status": "in_progress", "content": []}
        place = {"item_id": begun["id"], "output_index": 0, "content_index": 0}
        return [
            event({"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}),
            event({"type": "response.output_item.added", "output_index": 0, "item": begun}),
            event({"type": "response.output_text.delta", "delta": answer.text[:half], **place}),
            event({"type": "response.output_text.delta", "delta": answer.text[half:], **place}),
            event({"type": "response.completed", "response": whole}),
        ]

    def failed(self) -> bytes:
        return event({"type": "response.failed", "response": {"error": {"message": f"{HIDDEN} failed"}}})


def _head(answer: Said, kind: str) -> dict[str, Any]:
    return {"id": f"{HIDDEN}-1", "object": kind, "model": answer.model, "provider": HIDDEN}


def _usage(answer: Said, input_name: str, output_name: str) -> dict[str, Any]:
    if answer.counts is None:
        return {}
    told, output, cached = answer.counts
    details = {f"{input_name}_details": {"cached_tokens": cached}}
    return {"usage": {input_name: told, output_name: output, "total_tokens": told + output, **details}}


def event(value: Mapping[str, Any]) -> bytes:
    """Return one event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def cut(pieces: Sequence[bytes], most: int) -> list[bytes]:
    """Return the beginning of an answer that breaks off: some of its events, or a bit of the only piece."""
    return list(pieces[:most]) if len(pieces) > 1 else [pieces[0][:20]]

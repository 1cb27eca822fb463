"""
Chat completions as an upstream sends them, whole or streamed, taken apart.

What is no answer, nests without end or says itself that it failed is garbled, and nothing of it is given on. Who made
the request for which client does not matter here: the chat format shows what is read, others translate it.
"""

from collections.abc import Mapping
from typing import Any

from jatevo.adapters.wire import sse, strict_json
from jatevo.adapters.wire.chat_assembly import assembled
from jatevo.adapters.wire.chat_usage import UsageCounter, reported_usage
from jatevo.application.exchange import Reading
from jatevo.domain.tokens import TokenUsage


class ChatAnswer:
    """One `chat.completion` object of so many choices."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.choices: list[dict[str, Any]] = []
        """Each with a `message`; empty while nothing was read, or it was no answer."""

    def read(self, data: bytes) -> Reading:
        """Take the body and return what it says."""
        is_object = data.lstrip().startswith(b"{")
        choices, usage, model = _from_object(data) if is_object else self._from_stream(data)
        if not choices or not _are_choices(choices, "message"):
            return Reading(garbled=True)
        self.choices = choices
        produced = sum(text_length(choice["message"]) for choice in choices)
        return Reading(usage=usage, produced_bytes=produced, finished=True, answered_as=model)

    def _from_stream(self, data: bytes) -> tuple[list[Any], TokenUsage | None, str | None]:
        """Put an answer together that had to be asked for as a stream."""
        try:
            events = [event.strip() for event in sse.SseParser().feed(data)]
        except sse.FrameTooLong:
            return [], None, None
        read = [parsed_chunk(event) for event in events if event != b"[DONE]"]
        chunks = [chunk for chunk in read if chunk is not None]
        if len(chunks) < len(read):
            return [], None, None
        counter = UsageCounter(self._wanted)
        for chunk in chunks:
            counter.note(chunk)
        choices = assembled(chunks)
        whole = b"[DONE]" in events or sum(choice["finish_reason"] is not None for choice in choices) >= self._wanted
        return (choices if whole else []), counter.usage, next(filter(None, map(named_model, chunks)), None)


class ChatStream:
    """A stream of `chat.completion.chunk` objects of so many choices."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._parser = sse.SseParser()
        self._counter = UsageCounter(wanted)
        self._produced = 0
        self._finished: set[int] = set()
        self._garbled = False
        self._answered_as: str | None = None
        self.done = False
        """The end marker came: nothing more will."""

    def feed(self, data: bytes) -> list[list[dict[str, Any]]]:
        """Take bytes as they come and return the choices of each chunk that has any, each with a `delta`."""
        return [choices for event in self.events(data) if (choices := self.take(event))]

    def events(self, data: bytes) -> list[bytes]:
        """Take bytes as they come and return the events that they complete, each to be taken in turn."""
        if self.ended:
            return []
        try:
            return self._parser.feed(data)
        except sse.FrameTooLong:
            self._garbled = True
            return []

    @property
    def ended(self) -> bool:
        """Nothing that still comes counts."""
        return self._garbled or self.done

    def reading(self) -> Reading:
        """Return what is known so far."""
        finished = self.done or len(self._finished) >= self._wanted
        return Reading(
            usage=self._counter.usage,
            produced_bytes=self._produced,
            finished=finished,
            garbled=self._garbled,
            answered_as=self._answered_as,
        )

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """Take an event and return its choices."""
        if self.ended:
            return []
        if data.strip() == b"[DONE]":
            self.done = True
            return []
        chunk = parsed_chunk(data)
        if chunk is None:
            # What comes after the last choice has finished cannot unfinish it.
            self.done = self.reading().finished
            self._garbled = not self.done
            return []
        choices: list[dict[str, Any]] = chunk["choices"]
        self._counter.note(chunk)
        self._answered_as = self._answered_as or named_model(chunk)
        for choice in choices:
            self._produced += text_length(choice["delta"])
            if choice.get("finish_reason") is not None:
                self._finished.add(choice.get("index", 0))
        return choices

    def take_text(self, size: int) -> None:
        """Take so many bytes of text, of an event that says nothing else."""
        self._produced += size


def text_length(value: Any) -> int:
    """Return the bytes of text a message or delta carries, wherever in it: content, reasoning, tool arguments."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, dict):
        return sum(text_length(member) for name, member in value.items() if name not in {"role", "type", "id"})
    return sum(map(text_length, value)) if isinstance(value, list) else 0


def json_object(data: bytes) -> dict[str, Any] | None:
    """Return the object that a JSON text is, None when it is none or tells of an error."""
    try:
        value = strict_json.loads(data)
    except strict_json.BadJson:
        return None
    return value if isinstance(value, dict) and value.get("error") is None else None


def parsed_chunk(data: bytes) -> dict[str, Any] | None:
    """
    Return one chunk with its choices, None for what is none.

    Frames that only tell the usage may have no choices, and a choice that only finishes may have no delta.
    """
    chunk = json_object(data)
    if chunk is None or not (chunk.get("choices") is not None or chunk.get("usage") is not None):
        return None
    choices = chunk.get("choices") or []
    if not isinstance(choices, list):
        return None
    choices = [_with_delta(choice) for choice in choices]
    return {**chunk, "choices": choices} if _are_choices(choices, "delta") else None


def _with_delta(choice: Any) -> Any:
    return {**choice, "delta": choice.get("delta") or {}} if isinstance(choice, dict) else choice


def named_model(answer: Mapping[str, Any]) -> str | None:
    """Return what an upstream calls the model that made an answer, where it says so."""
    model = answer.get("model")
    return model if isinstance(model, str) else None


def _from_object(data: bytes) -> tuple[list[Any], TokenUsage | None, str | None]:
    answer = json_object(data) or {}
    choices = answer.get("choices")
    return (choices if isinstance(choices, list) else []), reported_usage(answer.get("usage")), named_model(answer)


def _are_choices(choices: Any, member: str) -> bool:
    return isinstance(choices, list) and all(_is_choice(choice, member) for choice in choices)


def _is_choice(choice: Any, member: str) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get(member), dict):
        return False
    failed = choice.get("error") is not None or choice.get("finish_reason") == "error"
    return isinstance(choice.get("index", 0), int) and not failed

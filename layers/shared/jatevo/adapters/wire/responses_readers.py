"""
The two readers of the Responses format, over whatever reads the upstream.

Guarantees: `response.created` comes with the first thing an upstream says, so that errors before it are plain HTTP
errors; the terminal event waits until the request is settled; there is exactly one, and it is the last event: as with
OpenAI the body ends behind it, without a `[DONE]`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.adapters.wire.responses_events import Events
from jatevo.adapters.wire.responses_object import ResponseObject
from jatevo.application.exchange import Reading
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Refusal


class Source(Protocol):
    """One upstream's answer, taken apart into the items of a response."""

    response: ResponseObject
    events: Events

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        ...

    @property
    def incomplete(self) -> str | None:
        """Why the answer is not whole, though it has ended."""
        ...

    @property
    def stopped_by(self) -> str | None:
        """Which of the request's stop sequences ended the answer, where the upstream says so."""
        ...

    @property
    def output(self) -> Sequence[Mapping[str, Any]]:
        """The items so far."""
        ...

    def whole(self, data: bytes) -> Reading:
        """Take an answer in one piece."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take a piece of a stream and return the frames that tell of it."""
        ...

    def reading(self) -> Reading:
        """Return what is known so far."""
        ...

    def close(self) -> bytes:
        """Return the frames that end every item."""
        ...


class ResponsesAnswerReader:
    """Reads an answer in one piece."""

    def __init__(self, source: Source) -> None:
        self._response = source.response
        self._source = source

    def read(self, data: bytes) -> Reading:
        return self._source.whole(data)

    def settled(self, entry: LedgerEntry) -> dict[str, Any]:
        return self._response.ended(entry, self._source.output, self._source.incomplete)

    def unkept(self) -> None:
        self._response.unkept()

    def body(self, entry: LedgerEntry) -> bytes:
        return json_bytes(self.settled(entry))


class ResponsesStreamReader:
    """Reads a streamed answer."""

    def __init__(self, source: Source, wording: ErrorWording) -> None:
        self._response = source.response
        self._source = source
        self._events = source.events
        self._wording = wording

    @property
    def done(self) -> bool:
        return self._source.done

    def feed(self, data: bytes) -> bytes:
        return self._source.feed(data)

    def reading(self) -> Reading:
        return self._source.reading()

    def ending(self, entry: LedgerEntry) -> bytes:
        frames = self._events.opening(self._response.begun()) + self._source.close()
        response = self._response.ended(entry, self._source.output, self._source.incomplete)
        return frames + self._events.frame(f"response.{response['status']}", response=response)

    def settled(self, entry: LedgerEntry) -> dict[str, Any] | None:
        if not self._source.reading().finished:
            return None
        return self._response.ended(entry, self._source.output, self._source.incomplete)

    def unkept(self) -> None:
        self._response.unkept()

    def failure(self, refusal: Refusal) -> bytes:
        message = wire_error(refusal, 0, self._wording).body["error"]["message"]
        ended = [item for item in self._source.output if item.get("status") != "in_progress"]
        frames = self._events.opening(self._response.begun())
        return frames + self._events.frame("response.failed", response=self._response.failed(refusal, message, ended))

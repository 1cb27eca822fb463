"""
What a wire format gives the use cases and takes from them: requests as facts, answers through readers.

The gate, the charge and the relay do not know whether a client speaks chat or responses: a format implements these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jatevo.application.journal import Journal
from jatevo.domain.catalogue import Pool, Route
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.projection import InputSize
from jatevo.domain.refusals import Refusal
from jatevo.domain.tokens import TokenUsage


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """A client's request, validated: what the gate needs to know, and the body to build the upstream's from."""

    model: str
    size: InputSize
    body: Mapping[str, Any]
    choices: int = 1
    output_cap: int | None = None
    stream: bool = False
    include_usage: bool = False
    """The client asked for the usage frame of a stream."""
    conversation: str = ""
    """What stays the same over the turns of a conversation, such as a hash of its first messages: keeps it on its
    route, so that the upstream's prompt cache hits. Empty when nothing does."""
    zdr: bool = False
    """Only upstreams that keep nothing of it may see it."""
    echo: Mapping[str, Any] = field(default_factory=dict)
    """What the answer repeats of the request, where the format has it do so."""
    journal: Journal = field(default_factory=Journal, compare=False, repr=False)
    """Where what becomes of it is noted for operators."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What has been learned of an answer so far."""

    usage: TokenUsage | None = None
    """As reported; not yet to be believed."""
    produced_bytes: int = 0
    finished: bool = False
    """The answer is complete: nothing that belongs to it is missing."""
    garbled: bool = False
    """What came is not the format's, or says itself that it failed."""
    answered_as: str | None = None
    """What the upstream calls the model that answered. For operators only."""


class StreamReader(Protocol):
    """Turns an upstream's stream into the client's, frame by frame."""

    @property
    def done(self) -> bool:
        """Whether the end marker came: nothing more will."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they come and return what can go to the client now."""
        ...

    def reading(self) -> Reading:
        """Return what is known so far."""
        ...

    def ending(self, entry: LedgerEntry) -> bytes:
        """Return the last frames of a complete answer: usage with its cost, and the end marker."""
        ...

    def failure(self, refusal: Refusal) -> bytes:
        """Return the frame that reports a break after the first byte."""
        ...

    def settled(self, entry: LedgerEntry) -> Mapping[str, Any] | None:
        """Return the whole answer as a value, to be kept; None when the format keeps none, or it is not whole."""
        ...

    def unkept(self) -> None:
        """Take note that the answer could not be kept: its last frames say so."""
        ...


class AnswerReader(Protocol):
    """Turns an upstream's whole answer into the client's."""

    def read(self, data: bytes) -> Reading:
        """Take the body and return what it says."""
        ...

    def body(self, entry: LedgerEntry) -> bytes:
        """Return the client's body, with the usage and cost of `entry`."""
        ...

    def settled(self, entry: LedgerEntry) -> Mapping[str, Any] | None:
        """Return the answer as a value, to be kept; None when the format keeps none."""
        ...

    def unkept(self) -> None:
        """Take note that the answer could not be kept: its body says so."""
        ...


class WireFormat(Protocol):
    """One client-facing format over one kind of upstream."""

    path: str
    """Where the upstream serves it, below its base URL."""

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        """Return why a pool cannot serve a request as it is, naming what it does not take; None when it can."""
        ...

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        """Return the body to send: the client's, with the model's name there and exactly one cap."""
        ...

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any] | None:
        """Return the request as a chat body, for an upstream's tokenizer; None when that would not show all of it."""
        ...

    def says_too_long(self, body: bytes) -> bool:
        """Return whether an upstream's 400 means that the input does not fit the model's context."""
        ...

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> StreamReader: ...

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> AnswerReader: ...


class Formats(Protocol):
    """A client-facing format, over every kind of upstream that it can be served by."""

    input_field: str
    """The field of a request that holds its input, as errors name it."""

    def for_pool(self, pool: Pool) -> WireFormat | None:
        """Return how this format is served by a pool: as it is, or translated; None when the pool speaks neither."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve a request: a pool, the model's name there, and the format spoken with it."""

    pool: Pool
    route: Route
    wire: WireFormat


class Keeper(Protocol):
    """Keeps a settled answer that its client may refer to later."""

    async def keep(self, answer: Mapping[str, Any]) -> bool:
        """Keep an answer. Return False when it could not be kept; never raises."""
        ...

"""
The journal of one request: what operators will want to know of it, noted as it goes and told once, when it is over.

It holds ids, codes, counts and times only; nothing that a client or a model wrote gets into it, so that nothing told
from it can give that away. A request is over when its answer has been sent *and* its reservation has ended, whichever
comes last: each part that works on it holds the journal open.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Code

ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Tried:
    """One try of one route. `outcome`: `ANSWERED`, or the code of what it failed with. `status` 0: no answer at all."""

    pool: str
    model: str
    outcome: str
    status: int
    began: float
    ended: float
    span_id: str = ""


class Chronicle(Protocol):
    """Is told of requests that are over. Never raises."""

    def ended(self, journal: "Journal") -> None: ...


class Tracing(Protocol):
    """Makes requests part of traces."""

    def begin(self, journal: "Journal", traceparent: str | None) -> None:
        """Let a request be part of its caller's trace, as its header names it, or of a new one."""
        ...

    async def flush(self) -> None:
        """Wait until what was told is delivered: called before a process may be frozen."""
        ...


class _Nobody:
    def ended(self, journal: "Journal") -> None:
        pass


_NOBODY = _Nobody()


@dataclass(slots=True)
class Journal:
    """See the module. `now` returns seconds on a clock that only goes forward; times here are on that clock."""

    now: Callable[[], float] = lambda: 0.0
    chronicle: Chronicle = _NOBODY
    id: str = ""
    method: str = ""
    route: str = ""
    """The route as it is written in the documentation, never the path as it was typed."""
    status: int = 0
    """Of the answer; 0: none was sent."""
    code: Code | None = None
    """Of the error that was sent, also within a stream."""
    failure: str = ""
    """The type of the exception that was not foreseen."""
    account_id: str = ""
    key_id: str = ""
    operator: str = ""
    model: str = ""
    lane: str = ""
    streamed: bool = False
    reserved_at_ms: int | None = None
    """When its worst case was reserved; None: it was not admitted."""
    tries: list[Tried] = field(default_factory=list)
    entry: LedgerEntry | None = None
    began: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds that each phase took, in their order."""
    over: float = 0.0
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    """Ids in hexadecimal as W3C Trace Context has them; empty while nothing is traced."""
    sampled: bool = False
    new_span_id: Callable[[], str] = lambda: ""
    _last: float = 0.0
    _open: int = 0

    def __post_init__(self) -> None:
        self.began = self._last = self.now()

    def mark(self, phase: str) -> None:
        """Note that a phase has ended, and the next one begins."""
        now = self.now()
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self._last
        self._last = now

    def tried(self, pool: str, model: str, outcome: str, status: int, began: float, span_id: str = "") -> None:
        """Note a try that began at `began`."""
        self.tries.append(Tried(pool, model, outcome, status, began, self.now(), span_id))

    def traceparent(self, span_id: str = "") -> str:
        """Return the header that makes what is asked, or answered, part of this trace: of this request, or of a try."""
        return f"00-{self.trace_id}-{span_id or self.span_id}-{self.sampled:02x}"

    def __enter__(self) -> None:
        """Hold the journal open."""
        self._open += 1

    def __exit__(self, *_: object) -> None:
        self._open -= 1
        if self._open == 0:
            self.over = self.now()
            self.chronicle.ended(self)

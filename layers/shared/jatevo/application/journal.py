"""
The journal of one request: what operators will want to know of it, noted as it goes and told once, when it is over.

It holds ids, codes, counts and times only; nothing that a client or a model wrote gets into it, so that nothing told
from it can give that away. A request is over when its answer has been sent *and* its reservation has ended, whichever
comes last: each part that works on it holds the journal open.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jatevo.application.suspicion import Sign
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


def _no_time() -> float:
    return 0.0


def _no_span() -> str:
    return ""


class Journal:
    """
    See the module. `now` returns seconds on a clock that only goes forward; times here are on that clock. `route` is
    the route as it is written in the documentation, never the path as it was typed.
    """

    # No dataclass: making one of so many fields would cost each cold start two milliseconds.
    __slots__ = (
        "_last",
        "_open",
        "account_id",
        "began",
        "chronicle",
        "code",
        "entry",
        "failure",
        "full_lanes",
        "id",
        "key_id",
        "lane",
        "method",
        "model",
        "new_span_id",
        "now",
        "operator",
        "over",
        "parent_span_id",
        "phases",
        "reserved_at_ms",
        "route",
        "sampled",
        "span_id",
        "status",
        "streamed",
        "suspicion",
        "trace_id",
        "tries",
    )

    def __init__(
        self,
        now: Callable[[], float] = _no_time,
        chronicle: Chronicle = _NOBODY,
        *,
        method: str = "",
        route: str = "",
    ) -> None:
        self.now = now
        self.chronicle = chronicle
        self.method = method
        self.route = route
        self.id = ""
        self.status = 0  # of the answer; 0: none was sent
        self.code: Code | None = None  # of the error that was sent, also within a stream
        self.failure = ""  # the type of the exception that was not foreseen
        self.account_id = self.key_id = self.operator = ""
        self.suspicion: Sign | None = None  # that its key is in the wrong hands
        self.model = self.lane = ""
        self.full_lanes: tuple[str, ...] = ()  # that had nothing left for it, whether or not another took it
        self.streamed = False
        self.reserved_at_ms: int | None = None  # when its worst case was reserved; None: it was not admitted
        self.tries: list[Tried] = []
        self.entry: LedgerEntry | None = None
        self.phases: dict[str, float] = {}  # seconds that each phase took, in their order
        # Ids in hexadecimal as W3C Trace Context has them; empty while nothing is traced.
        self.trace_id = self.span_id = self.parent_span_id = ""
        self.sampled = False
        self.new_span_id: Callable[[], str] = _no_span
        self.began = self._last = now()
        self.over = 0.0
        self._open = 0

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

"""
Upstreams as the gateway meets them: the `Upstream` port, with a fate for every call.

They answer, refuse, hang, drip, throttle, break off, send half frames or garbage, and lie about what they counted. An
honest one obeys the cap that it is sent and counts what it says; what each told is remembered, for the books to be
held against.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from jatevo.application.ports import (
    Clock,
    UpstreamAnswer,
    UpstreamBroken,
    UpstreamCall,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.answers import (
    RESPONSES_PATH,
    Chat,
    Native,
    Said,
    Speech,
    cap_of,
    cut,
    honest_input,
)
from jatevo_testing.simulation.gateway.goods import HIDDEN
from jatevo_testing.simulation.wire import CURRENT

IDLE_S = 40
"""The longest silence that is waited for between two pieces."""
HONEST = ("answers", "drips", "half frames", "reasons", "without an end marker", "as another model")
_STATUSES = {
    "throttles": 429,
    "throttles for a while": 429,
    "fails": 500,
    "is overloaded": 503,
    "took too long": 504,
    "blames the body": 400,
    "knows no key": 401,
}
LYING = ("counts nothing", "counts zero", "counts below zero", "counts enormously", "writes past the cap")
FATES = (
    *("refuses", "hangs", "never ends", "breaks off", "ends early", "sends garbage", "says it failed", "dies at once"),
    *_STATUSES,
    *LYING,
    *HONEST,
)


@dataclass
class Told:
    """What upstreams told about one request: their counts, and whether all who were asked were honest."""

    counts: list[tuple[int, int, int]] = field(default_factory=list)
    honest: bool = True
    calls: int = 0


class Pools:
    """All upstreams. `called` looks at every call; `fates` may be changed while it runs."""

    def __init__(self, chance: Chance, called: Callable[[UpstreamCall], None]) -> None:
        self._chance = chance
        self._called = called
        self.trouble = 0.0
        self.told: defaultdict[str, Told] = defaultdict(Told)
        self.met: Counter[str] = Counter()

    def of(self, clock: Clock) -> "PoolsOfProcess":
        """Return the port for one process."""
        return PoolsOfProcess(self, clock)

    def fate(self, call: UpstreamCall) -> tuple[str, Told]:
        """Decide how a call goes."""
        if CURRENT.get().dead:
            raise asyncio.CancelledError
        self._called(call)
        fate = self._chance.choice(FATES) if self._chance.happens(self.trouble) else "answers"
        told = self.told[call.request_id.removeprefix("req_")]
        told.calls += 1
        told.honest &= fate not in LYING
        self.met[f"upstream {fate}"] += 1
        return fate, told

    def pause_s(self, *options: float) -> float:
        return self._chance.choice(options)

    def count(self, low: int, high: int) -> int:
        return self._chance.within(low, max(low, high))


class PoolsOfProcess:
    """The `Upstream` port of one process."""

    def __init__(self, pools: Pools, clock: Clock) -> None:
        self._pools = pools
        self._clock = clock

    def close(self) -> None:
        """Nothing is kept open."""

    @asynccontextmanager
    async def open(self, call: UpstreamCall) -> AsyncIterator[UpstreamAnswer]:
        fate, told = self._pools.fate(call)
        left_s = max(0.0, (call.deadline_unix_ms - self._clock.now_ms()) / 1000)
        deadline = asyncio.get_running_loop().time() + left_s
        await _until(deadline, self._pools.pause_s(0, 0.1, 0.8, 4))
        if fate == "refuses":
            raise UpstreamUnreachable("no connection")
        if fate == "dies at once":
            raise UpstreamBroken("the connection broke")
        if fate == "hangs":
            await _until(deadline, IDLE_S)
            raise UpstreamTimeout("no answer in time")
        if fate in _STATUSES:
            retry_after_s = self._pools.count(1, 20) if fate == "throttles for a while" else None
            body = _one(json.dumps({"error": {"message": f"{HIDDEN} is unwell", "code": HIDDEN}}).encode())
            yield UpstreamAnswer(_STATUSES[fate], "application/json", retry_after_s, body)
            return
        answer = Answer(call, fate, told, self._pools)
        yield UpstreamAnswer(200, "text/event-stream", None, self._spoken(answer, deadline))

    async def count_tokens(self, call: UpstreamCall) -> int | None:
        await asyncio.sleep(0.1)
        return honest_input(call.body) if self._pools.count(0, 1) else None

    async def _spoken(self, answer: "Answer", deadline: float) -> AsyncIterator[bytes]:
        for piece in answer.pieces():
            pause_s = self._pools.pause_s(0, 0.05, 0.5) if answer.fate != "drips" else self._pools.pause_s(2, 20, 39)
            await _until(deadline, pause_s)
            yield piece
        if answer.fate == "never ends":
            await _until(deadline, IDLE_S)
            raise UpstreamTimeout("no answer in time")
        if answer.fate == "breaks off":
            raise UpstreamBroken("the connection broke")


async def _until(deadline: float, seconds: float) -> None:
    """Wait, but no longer than a call may last. Raises UpstreamTimeout."""
    left_s = deadline - asyncio.get_running_loop().time()
    await asyncio.sleep(min(seconds, max(0.0, left_s)))
    if CURRENT.get().dead:
        raise asyncio.CancelledError
    if seconds >= left_s:
        raise UpstreamTimeout("no answer in time")


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Answer:
    """One answer, streamed or whole, in the format in which an upstream was asked."""

    def __init__(self, call: UpstreamCall, fate: str, told: Told, pools: Pools) -> None:
        self.fate = fate
        self._body: Any = call.body
        cap = cap_of(self._body) or 400
        each = cap + 30 if fate == "writes past the cap" else cap
        words, choices = pools.count(0 if fate == "reasons" else 1, each), self._body.get("n", 1)
        counts = (honest_input(self._body), words * choices, 0)
        if fate == "counts enormously":
            counts = (counts[0] * pools.count(1, 50), 10**8, 0)
        elif self._body["model"].endswith("long"):
            counts = (*counts[:2], pools.count(0, counts[0]))
        self._cut = pools.count(1, 4)
        told.counts.append(counts)
        model = f"{HIDDEN}-other" if fate == "as another model" else str(self._body["model"])
        self._said = Said(words, choices, self._told(counts), model)
        native = call.path == RESPONSES_PATH
        self._speech: Speech = Native() if native else Chat(ended=fate != "without an end marker")

    @property
    def stream(self) -> bool:
        return bool(self._body.get("stream"))

    def pieces(self) -> Sequence[bytes]:
        """Return what goes over the connection, piece by piece."""
        speech = self._speech
        whole = speech.streamed(self._said) if self.stream else [json.dumps(speech.whole(self._said)).encode()]
        if self.fate == "sends garbage":
            return [*whole[:1], b"data: {half an event\n\n", b"\x00\xff<html>"] if self.stream else [b"<html>"]
        if self.fate == "says it failed":
            return [*whole[: self._cut - 1], speech.failed()]
        if self.fate in {"breaks off", "never ends", "ends early"}:
            return cut(whole, self._cut)
        if self.fate == "half frames":
            joined = b"".join(whole)
            return [joined[at : at + 97] for at in range(0, len(joined), 97)]
        return whole

    def _told(self, counts: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """Return what is told of the counts."""
        match self.fate:
            case "counts nothing":
                return None
            case "counts zero":
                return 0, 0, 0
            case "counts below zero":
                return -counts[0], *counts[1:]
        return counts

"""
The tries of one request: one route after the other, until one begins to answer.

=========================================================  ==========================================================
what a try met                                             what follows
=========================================================  ==========================================================
no connection; 401, 403, 404, 429, 5xx, a redirect         the next route; nothing is owed for it
sent, then silence, a break or no answer; 408, 504, 524    at most one further try; what it may have cost is exposure
400, 413, 422: the client's body is to blame               no further try: another route would reject it as well
answered                                                   that is the answer; the client is charged for it alone
=========================================================  ==========================================================

Every try sends the same body with the same cap on output. None begins once something of an answer has gone to the
client, later than the failover deadline, or when nobody waits for the answer any more; a further try after one that
may have been billed needs room for both under the account's exposure cap. A hedge, where a model has one, is that
further try begun early: the first to answer wins, the other is hung up on and counts as exposure.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from jatevo.application.admission import Admitted
from jatevo.application.exchange import Candidate
from jatevo.application.health import Health
from jatevo.application.journal import ANSWERED
from jatevo.application.ports import (
    Clock,
    Upstream,
    UpstreamAnswer,
    UpstreamBroken,
    UpstreamCall,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from jatevo.application.wanted import Reservation
from jatevo.domain.binding import Slot
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.routing import PASSED_OVER

_log = logging.getLogger(__name__)

MOST_TRIES = 4
"""Of one request: more would only multiply the load on what is failing."""
_SHORTEST_TRY_MS = 2_000
"""Less time than this before the upstream's deadline is none to begin a further try in."""
_MOST_ANSWER_BYTES = 32 * 1024 * 1024
_BLAMES_THE_BODY = frozenset({400, 413, 422})
_KEY_REFUSED = 401
"""No body can cause it; 403 it can: what moderates or guards an upstream answers so."""
_NOT_THERE = 404
"""The model, or what the body names: it says nothing of the pool's other models."""
_BUSY = frozenset({429, 503})
_MAY_HAVE_WORKED = frozenset({408, 504, 524})
"""Answers by which somebody on the way says that the model took too long: it may have done the work."""

TIMED_OUT = Refusal(Code.UPSTREAM_TIMEOUT, "The model did not answer in time.", billable=True)
BROKE = Refusal(Code.UPSTREAM_ERROR, "The model's answer broke off.", billable=True)
FAILED = Refusal(Code.UPSTREAM_ERROR, "The model failed to answer. You were not charged; try again.")
DOWN = Refusal(Code.UPSTREAM_UNAVAILABLE, "The model is not available right now. You were not charged; try again.")
_REJECTED = Refusal(
    Code.INVALID_REQUEST, "The model rejected this request as invalid. Check its messages, tools and parameters."
)


@dataclass(frozen=True, slots=True)
class Miss:
    """
    A try that brought nothing. `status` 0: no whole answer came. `blameless`: no request can have caused it.
    `of_the_route`: it says nothing of what else the pool serves.
    """

    refusal: Refusal
    status: int = 0
    possibly_billed: bool = False
    blameless: bool = False
    of_the_route: bool = False
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class BodyRejected:
    """An upstream finds the client's body invalid, or longer than the context."""

    refusal: Refusal
    status: int


@dataclass(frozen=True, slots=True)
class Begun[T]:
    """A route that answers: what has been read of it, and whether it was its pool's probe."""

    value: T
    candidate: Candidate


type Begin[T] = Callable[[Candidate, UpstreamAnswer], Awaitable[T]]
"""Reads an answer as far as it takes to know that it is one. Raises UpstreamError when it is none."""
type Outcome[T] = Begun[T] | Miss | BodyRejected


@dataclass(frozen=True, slots=True)
class Deadlines:
    """`upstream_ms`: no upstream is read later. `failover_ms`: no further try begins later. Unix milliseconds."""

    upstream_ms: int
    failover_ms: int


class HoldSlot(Protocol):
    """Takes places in pools whose concurrency is divided."""

    async def try_hold(self, reservation: Reservation, slot: Slot | None) -> bool:
        """Take a further place for a request; a place it has, and one that is not counted, is free."""
        ...


class Tries:
    """The tries of one admitted request. `abandoned`: tells whether nobody waits for the answer any more."""

    def __init__(
        self,
        admitted: Admitted,
        upstream: Upstream,
        health: Health,
        clock: Clock,
        deadlines: Deadlines,
        slots: HoldSlot,
        abandoned: Callable[[], bool] = lambda: False,
    ) -> None:
        self._admitted = admitted
        self._upstream = upstream
        self._health = health
        self._clock = clock
        self._deadlines = deadlines
        self._slots = slots
        self._abandoned = abandoned
        self._open = AsyncExitStack()
        self._begun = 0
        self.possibly_billed = 0
        """Tries without an answer that may have cost us."""

    @asynccontextmanager
    async def first[T](self, begin: Begin[T]) -> AsyncIterator[Outcome[T]]:
        """Yield what begins to answer first, to be read on within the context; or how the last try failed."""
        async with self._open:
            yield await self._first(begin)

    async def note_break(self, candidate: Candidate) -> None:
        """Take note that an answer broke off after it had begun."""
        await self._health.failed(candidate.pool.id, self._account_id, probe=False, blameless=False)

    @property
    def _account_id(self) -> str:
        return self._admitted.reservation.wanted.caller.account.id

    async def _first[T](self, begin: Begin[T]) -> Outcome[T]:
        routes = iter(self._admitted.plan.routes)
        last = Miss(DOWN)
        while (taken := await self._next(routes)) is not None:
            outcome = await self._hedged(taken, routes, begin)
            if not isinstance(outcome, Miss):
                return outcome
            last = outcome if outcome.possibly_billed or not last.possibly_billed else last
        return last

    async def _next(self, routes: Iterator[Candidate]) -> tuple[Candidate, bool] | None:
        """Return the next route that may be asked, and whether that is its pool's probe; None when enough was tried."""
        if not self._may_try():
            return None
        for candidate in routes:
            pool_id, own = candidate.pool.id, self._admitted.plan.has_own_places(candidate.pool)
            if self._health.standing(pool_id, self._account_id, own_places=own)[0] in PASSED_OVER:
                continue
            if not await self._slots.try_hold(self._admitted.reservation, self._admitted.plan.slots.get(pool_id)):
                continue
            allowed, probe = await self._health.may_ask(pool_id, self._account_id, own_places=own)
            if allowed:
                self._begun += 1
                return candidate, probe
        return None

    def _may_try(self) -> bool:
        if self._begun == 0:
            return True
        latest_ms = min(self._deadlines.failover_ms, self._deadlines.upstream_ms - _SHORTEST_TRY_MS)
        if self._begun >= MOST_TRIES or self._abandoned() or self._clock.now_ms() >= latest_ms:
            return False
        return self.possibly_billed == 0 or (self.possibly_billed == 1 and self._room_for_two())

    def _room_for_two(self) -> bool:
        reservation = self._admitted.reservation
        return reservation.exposure_left_nano_usd >= 2 * reservation.terms.reserved_nano_usd

    async def _hedged[T](
        self, taken: tuple[Candidate, bool], routes: Iterator[Candidate], begin: Begin[T]
    ) -> Outcome[T]:
        """Try a route; where the model is hedged and it takes long, a second one beside it."""
        after_ms = self._admitted.plan.model.hedge_after_ms
        if not (after_ms and self._admitted.request.stream and self.possibly_billed == 0 and self._room_for_two()):
            return await self._kept(*await self._try(*taken, begin))
        running = {asyncio.ensure_future(self._try(*taken, begin))}
        try:
            await asyncio.wait(running, timeout=after_ms / 1000)
            if all(not task.done() for task in running) and (second := await self._next(routes)) is not None:
                _log.info("request %s: a second route is tried beside the first", self._admitted.reservation.id)
                running.add(asyncio.ensure_future(self._try(*second, begin)))
            return await self._race(running)
        finally:
            await _end(running)

    async def _race[T](self, running: "set[asyncio.Task[tuple[Outcome[T], AsyncExitStack]]]") -> Outcome[T]:
        """Return the first answer; without any, the last failure. Who is still at it then may have cost us."""
        while True:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                outcome, opened = task.result()
                if not isinstance(outcome, Miss) or not running:
                    self.possibly_billed += len(running)
                    return await self._kept(outcome, opened)
                await opened.aclose()

    async def _kept[T](self, outcome: Outcome[T], opened: AsyncExitStack) -> Outcome[T]:
        """Keep open what a try has opened for as long as its answer is read."""
        self._open.push_async_exit(opened)
        return outcome

    async def _try[T](self, candidate: Candidate, probe: bool, begin: Begin[T]) -> tuple[Outcome[T], AsyncExitStack]:  # noqa: FBT001
        """Try one route, tell its pool's health how it went, and return what stays open."""
        pool, began_ms = candidate.pool, self._clock.now_ms()
        async with AsyncExitStack() as opened:
            opened.enter_context(self._health.counted(pool.id, self._admitted.plan.share(pool)))
            outcome = await self._outcome(candidate, begin, opened)
            if isinstance(outcome, Miss):
                self.possibly_billed += outcome.possibly_billed
                reservation_id, text = self._admitted.reservation.id, outcome.refusal.code
                _log.warning(
                    "request %s: pool %s failed: %s%s",
                    reservation_id,
                    pool.id,
                    text,
                    ", possibly billed" if outcome.possibly_billed else "",
                )
                await self._health.failed(
                    pool.id,
                    self._account_id,
                    probe=probe,
                    blameless=outcome.blameless,
                    of_the_route=outcome.of_the_route,
                    retry_after_s=outcome.retry_after_s,
                    took_ms=self._clock.now_ms() - began_ms,
                )
                return outcome, AsyncExitStack()
            await self._health.answered(pool.id, self._account_id, probe=probe)
            return outcome, opened.pop_all()

    async def _outcome[T](self, candidate: Candidate, begin: Begin[T], opened: AsyncExitStack) -> Outcome[T]:
        """Ask one route, and note how it went."""
        journal = self._admitted.request.journal
        began, span_id = journal.now(), journal.new_span_id()
        outcome = await self._asked(candidate, begin, opened, span_id)
        told, status = (ANSWERED, 200) if isinstance(outcome, Begun) else (outcome.refusal.code.value, outcome.status)
        journal.tried(candidate.pool.id, candidate.route.model, told, status, began, span_id)
        return outcome

    async def _asked[T](
        self, candidate: Candidate, begin: Begin[T], opened: AsyncExitStack, span_id: str
    ) -> Outcome[T]:
        first_byte_s = candidate.pool.first_byte_s if self._admitted.request.stream else 0
        try:
            async with asyncio.timeout(first_byte_s or None):
                answer = await opened.enter_async_context(self._upstream.open(self._call(candidate, span_id)))
                if answer.status == 200:
                    return Begun(await begin(candidate, answer), candidate)
                _log.warning("pool %s answered %d", candidate.pool.id, answer.status)
                if answer.status in _BLAMES_THE_BODY:
                    return BodyRejected(await self._why(answer, candidate), answer.status)
                return _missed(answer)
        except UpstreamUnreachable:
            return Miss(DOWN, blameless=True)
        except (UpstreamError, TimeoutError) as error:
            timed_out = isinstance(error, UpstreamTimeout | TimeoutError)
            return Miss(TIMED_OUT if timed_out else BROKE, possibly_billed=True)

    async def _why(self, answer: UpstreamAnswer, candidate: Candidate) -> Refusal:
        """Return the refusal of a request that an upstream finds invalid, or longer than the context."""
        with contextlib.suppress(UpstreamError):
            if candidate.wire.says_too_long(await all_of(answer)):
                window = self._admitted.plan.model.context_window
                detail = f"The input is longer than the model's context window of {window} tokens. Shorten it."
                return Refusal(Code.CONTEXT_LENGTH_EXCEEDED, detail, param=self._admitted.input_field)
        return _REJECTED

    def _call(self, candidate: Candidate, span_id: str) -> UpstreamCall:
        """Return the call for a route, with the very cap the reservation was made with."""
        reservation, request = self._admitted.reservation, self._admitted.request
        wire, pool = candidate.wire, candidate.pool
        cap = reservation.projection.output_cap
        body = wire.upstream_body(request, pool, model=candidate.route.model, output_cap=cap)
        headers = {**pool.headers, **((pool.zdr or {}) if request.zdr else {})}
        if span_id:
            headers["traceparent"] = request.journal.traceparent(span_id)
        return UpstreamCall(pool, wire.path, body, self._deadlines.upstream_ms, f"req_{reservation.id}", headers)


async def all_of(answer: UpstreamAnswer) -> bytes:
    """Return a whole body. Raises UpstreamError."""
    whole = bytearray()
    async for data in answer.body:
        whole += data
        if len(whole) > _MOST_ANSWER_BYTES:
            raise UpstreamBroken("the answer is too large")
    return bytes(whole)


def _missed(answer: UpstreamAnswer) -> Miss:
    """Return what an answer that is none means."""
    if answer.status in _MAY_HAVE_WORKED:
        return Miss(TIMED_OUT, answer.status, possibly_billed=True, retry_after_s=answer.retry_after_s)
    return Miss(
        DOWN if answer.status in _BUSY else FAILED,
        answer.status,
        blameless=answer.status == _KEY_REFUSED,
        of_the_route=answer.status == _NOT_THERE,
        retry_after_s=answer.retry_after_s,
    )


async def _end[T](running: "set[asyncio.Task[tuple[Outcome[T], AsyncExitStack]]]") -> None:
    """Hang up on tries that are not needed any more."""
    for task in running:
        task.cancel()
    for ended in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(ended, BaseException):
            await ended[1].aclose()

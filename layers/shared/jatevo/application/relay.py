"""
The exchange of one admitted request: call upstreams, read the answer, settle.

It ends the reservation in exactly one way, whatever happens:

=============================================  ==================================================================
what happened                                  how the reservation ends
=============================================  ==================================================================
no connection, or 401/403/404/429/5xx          next route; after the last: released
400/413/422: the client's body is to blame     charged 0, the request stays counted
sent, then silence or a break, nothing came    exposure (or the held amount above the cap); no further try
broke after some of the answer                 charged for what was produced; the client sees an error event
client left                                    read on or hang up as the pool says; charged for what was produced
answered                                       charged for the usage reported, or estimated where there is none
=============================================  ==================================================================
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jatevo.application.admission import Admitted
from jatevo.application.channel import Channel
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import Reading, StreamReader
from jatevo.application.ports import (
    Clock,
    StoreError,
    Upstream,
    UpstreamAnswer,
    UpstreamBroken,
    UpstreamCall,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from jatevo.application.reservations import Reservation, Reservations
from jatevo.domain import settlement
from jatevo.domain.catalogue import Pool, Route, WhenClientLeaves
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.settlement import Verdict
from jatevo.domain.tokens import UsageSource, trusted

_log = logging.getLogger(__name__)

_MOST_ANSWER_BYTES = 32 * 1024 * 1024
_BLAMES_THE_BODY = frozenset({400, 413, 422})
_BUSY = frozenset({429, 503})

_TIMED_OUT = Refusal(Code.UPSTREAM_TIMEOUT, "The model did not answer in time.", billable=True)
_BROKE = Refusal(Code.UPSTREAM_ERROR, "The model's answer broke off.", billable=True)
_FAILED = Refusal(Code.UPSTREAM_ERROR, "The model failed to answer. You were not charged; try again.")
_DOWN = Refusal(Code.UPSTREAM_UNAVAILABLE, "The model is not available right now. You were not charged; try again.")
_REJECTED = Refusal(
    Code.INVALID_REQUEST, "The model rejected this request as invalid. Check its messages, tools and parameters."
)
UNSETTLED = Refusal(Code.SERVICE_UNAVAILABLE, "The request could not be accounted for in time.", billable=True)


@dataclass(frozen=True, slots=True)
class Completed:
    """A whole answer, settled."""

    body: bytes
    reservation: Reservation
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refusal, with what is known of the reservation it ended."""

    refusal: Refusal
    reservation: Reservation | None = None
    entry: LedgerEntry | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    refusal: Refusal
    verdict: Verdict


class Exchange:
    """One admitted request on its way: call either `whole` or `stream`, once."""

    def __init__(
        self, admitted: Admitted, upstream: Upstream, reservations: Reservations, errors: ClientErrors, clock: Clock
    ) -> None:
        self._admitted = admitted
        self._upstream = upstream
        self._reservations = reservations
        self._errors = errors
        self._clock = clock
        self._first_token_at_ms: int | None = None
        self.begun: asyncio.Future[Rejected | None] = asyncio.get_running_loop().create_future()
        """Of a stream: None once there is something to send, or the refusal that came instead."""

    @property
    def reservation(self) -> Reservation:
        return self._admitted.reservation

    async def whole(self) -> Completed | Rejected:
        """Answer in one piece."""
        admitted = self._admitted
        reader = admitted.wire.answer_reader(admitted.request, admitted.reservation.id)

        async def read(answer: UpstreamAnswer, _: Pool) -> Reading:
            reading = reader.read(await _all_of(answer))
            if reading.garbled:
                raise UpstreamBroken("not an answer")
            return reading

        result = await self._first_answer(read)
        if isinstance(result, _Failure):
            return Rejected(result.refusal, admitted.reservation, await self._settle(result.verdict))
        entry = await self._settle(self._charged(result, Reason.ANSWERED))
        if entry is None:
            return Rejected(UNSETTLED, admitted.reservation)
        return Completed(reader.body(entry), admitted.reservation, entry)

    async def stream(self, channel: Channel) -> None:
        """
        Answer piece by piece into `channel`. Content goes out as it comes; the end marker only after settling.

        A failure before anything was sent resolves `begun` with a refusal; later ones become an error event and a
        broken end.
        """
        reader = self._admitted.wire.stream_reader(self._admitted.request, self._admitted.reservation.id)

        async def relay(answer: UpstreamAnswer, pool: Pool) -> Verdict | _Failure:
            return await self._relay(answer, pool, reader, channel)

        result = await self._first_answer(relay)
        verdict = result.verdict if isinstance(result, _Failure) else result
        entry = await self._settle(verdict)
        refusal = result.refusal if isinstance(result, _Failure) else None if entry else UNSETTLED
        if refusal is None and entry is not None:
            self._begin()
            await channel.write(reader.ending(entry))
            channel.close(whole=True)
        elif refusal is not None and not self.begun.done():
            self.begun.set_result(Rejected(refusal, self._admitted.reservation, entry))
            channel.close(whole=False)
        elif refusal is not None:
            await channel.write(reader.failure(refusal))
            channel.close(whole=False)

    async def _first_answer[T](self, use: Callable[[UpstreamAnswer, Pool], Awaitable[T | _Failure]]) -> T | _Failure:
        """Try the routes in order until one answers 200 and give that answer to `use`; or say why none did."""
        failure = _Failure(_DOWN, settlement.released(Reason.UPSTREAM_REFUSED))
        for pool, route in self._admitted.routes:
            try:
                async with self._upstream.open(self._call(pool, route)) as answer:
                    if answer.status == 200:
                        return await use(answer, pool)
                    _log.warning("pool %s answered %d", pool.id, answer.status)
                    if answer.status in _BLAMES_THE_BODY:
                        return _Failure(_REJECTED, settlement.counted_free(Reason.CLIENT_ERROR))
                    failure = _Failure(_DOWN if answer.status in _BUSY else _FAILED, failure.verdict)
            except UpstreamUnreachable:
                _log.warning("pool %s cannot be reached", pool.id)
                failure = _Failure(_DOWN, failure.verdict)
            except UpstreamError as error:
                _log.warning("pool %s: %s", pool.id, error)
                refusal = _TIMED_OUT if isinstance(error, UpstreamTimeout) else _BROKE
                return _Failure(refusal, self._unanswered())
        return failure

    async def _relay(
        self, answer: UpstreamAnswer, pool: Pool, reader: StreamReader, channel: Channel
    ) -> Verdict | _Failure:
        """Pass an answer on until it ends, breaks, or nobody reads it any more."""
        refusal, reason = _BROKE, Reason.UPSTREAM_BROKE
        try:
            async for data in answer.body:
                frames = reader.feed(data)
                if frames:
                    self._begin()
                    await channel.write(frames)
                if reader.done or reader.reading().garbled:
                    break
                if channel.abandoned.is_set() and pool.when_client_leaves is WhenClientLeaves.STOP:
                    return self._charged(reader.reading(), Reason.CLIENT_LEFT)
        except UpstreamError as error:
            if not self.begun.done():
                raise
            refusal = _TIMED_OUT if isinstance(error, UpstreamTimeout) else _BROKE
        reading = reader.reading()
        if reading.finished:
            return self._charged(reading, Reason.CLIENT_LEFT if channel.abandoned.is_set() else Reason.ANSWERED)
        if reading.produced_bytes == 0:
            return _Failure(refusal, self._unanswered())
        return _Failure(refusal, self._charged(reading, reason))

    def _begin(self) -> None:
        if self._first_token_at_ms is None:
            self._first_token_at_ms = self._clock.now_ms()
        if not self.begun.done():
            self.begun.set_result(None)

    def _call(self, pool: Pool, route: Route) -> UpstreamCall:
        """Return the call for a route, with the very cap the reservation was made with."""
        admitted = self._admitted
        cap = admitted.reservation.projection.output_cap
        body = admitted.wire.upstream_body(admitted.request, pool, model=route.model, output_cap=cap)
        deadline = self._reservations.deadline_unix_ms(admitted.reservation)
        return UpstreamCall(pool, admitted.wire.path, body, deadline, f"req_{admitted.reservation.id}")

    def _unanswered(self) -> Verdict:
        return self._reservations.unanswered(self._admitted.reservation, Reason.NO_ANSWER)

    def _charged(self, reading: Reading, reason: Reason) -> Verdict:
        """Return the charge for what was read: by the upstream's count where it can be believed."""
        usage = None if reading.usage is None else trusted(reading.usage)
        source = UsageSource.REPORTED
        if usage is None or (usage.output_tokens == 0 and reading.produced_bytes > 0):
            usage = settlement.estimated_usage(self._admitted.request.size, reading.produced_bytes)
            source = UsageSource.ESTIMATED
        return settlement.charged_for_usage(self._admitted.reservation.terms, reason, usage, source)

    async def _settle(self, verdict: Verdict) -> LedgerEntry | None:
        """End the reservation. None when the decision could not be stored: then the sweeper expires it."""
        reservation = self._admitted.reservation
        begun = reservation.reserved_at_ms
        self._errors.ended(reservation.wanted.caller.account.id, verdict.reason)
        timings = Timings(
            duration_ms=self._clock.now_ms() - begun,
            first_token_ms=None if self._first_token_at_ms is None else self._first_token_at_ms - begun,
        )
        try:
            entry = await self._reservations.settle(reservation, verdict, timings)
        except StoreError:
            _log.error("reservation %s could not be decided; the sweeper will expire it", reservation.id)
            return None
        if entry.figures.overrun_nano_usd:
            _log.error("reservation %s overran by %d nano-USD", reservation.id, entry.figures.overrun_nano_usd)
        return entry


async def _all_of(answer: UpstreamAnswer) -> bytes:
    whole = bytearray()
    async for data in answer.body:
        whole += data
        if len(whole) > _MOST_ANSWER_BYTES:
            raise UpstreamBroken("the answer is too large")
    return bytes(whole)

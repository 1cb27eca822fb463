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
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from jatevo.application.admission import Admitted
from jatevo.application.channel import Channel
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import AnswerReader, Candidate, Keeper, Reading, StreamReader
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
from jatevo.domain.catalogue import WhenClientLeaves
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.settlement import Verdict
from jatevo.domain.tokens import UsageSource, trusted

_log = logging.getLogger(__name__)

_MOST_ANSWER_BYTES = 32 * 1024 * 1024
_BLAMES_THE_BODY = frozenset({400, 413, 422})
_BUSY = frozenset({429, 503})

_TAIL_S = 5.0
"""How long after the last choice has finished its usage and end marker are waited for."""

_TIMED_OUT = Refusal(Code.UPSTREAM_TIMEOUT, "The model did not answer in time.", billable=True)
_BROKE = Refusal(Code.UPSTREAM_ERROR, "The model's answer broke off.", billable=True)
_FAILED = Refusal(Code.UPSTREAM_ERROR, "The model failed to answer. You were not charged; try again.")
_DOWN = Refusal(Code.UPSTREAM_UNAVAILABLE, "The model is not available right now. You were not charged; try again.")
_REJECTED = Refusal(
    Code.INVALID_REQUEST, "The model rejected this request as invalid. Check its messages, tools and parameters."
)
_CHARGED_ALL_THE_SAME = (
    "Its estimated cost was charged, because too much of today's budget went into requests that got no answer."
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
        self,
        admitted: Admitted,
        upstream: Upstream,
        reservations: Reservations,
        errors: ClientErrors,
        clock: Clock,
        keeper: Keeper | None = None,
    ) -> None:
        self._admitted = admitted
        self._upstream = upstream
        self._reservations = reservations
        self._errors = errors
        self._clock = clock
        self._keeper = keeper
        self._first_token_at_ms: int | None = None
        self._reading: asyncio.Timeout | None = None
        self._stopped = False
        self.begun: asyncio.Future[Rejected | None] = asyncio.get_running_loop().create_future()
        """Of a stream: None once there is something to send, or the refusal that came instead."""

    @property
    def reservation(self) -> Reservation:
        return self._admitted.reservation

    async def whole(self) -> Completed | Rejected:
        """Answer in one piece."""
        admitted = self._admitted

        async def read(answer: UpstreamAnswer, candidate: Candidate) -> tuple[AnswerReader, Reading]:
            reader = candidate.wire.answer_reader(admitted.request, admitted.reservation.id)
            reading = reader.read(await _all_of(answer))
            if reading.garbled:
                raise UpstreamBroken("not an answer")
            return reader, reading

        result = await self._until_stopped(read, lambda: self._no_answer(_BROKE))
        if isinstance(result, _Failure):
            return Rejected(result.refusal, admitted.reservation, await self._settle(result.verdict))
        reader, reading = result
        entry = await self._settle(self._charged(reading, Reason.ANSWERED))
        if entry is None:
            return Rejected(UNSETTLED, admitted.reservation)
        await self._keep(reader, entry)
        return Completed(reader.body(entry), admitted.reservation, entry)

    async def stream(self, channel: Channel) -> None:
        """
        Answer piece by piece into `channel`. Content goes out as it comes; the end marker only after settling.

        A failure before anything was sent resolves `begun` with a refusal; later ones become an error event and a
        broken end.
        """
        admitted = self._admitted
        reader = self._reader_of(admitted.routes[0])

        async def relay(answer: UpstreamAnswer, candidate: Candidate) -> Verdict | _Failure:
            nonlocal reader
            reader = self._reader_of(candidate)
            return await self._relay(answer, candidate, reader, channel)

        result = await self._until_stopped(relay, lambda: self._as_read(reader, channel, _BROKE))
        verdict = result.verdict if isinstance(result, _Failure) else result
        entry = await self._settle(verdict)
        refusal = result.refusal if isinstance(result, _Failure) else None if entry else UNSETTLED
        if refusal is None and entry is not None:
            self._begin()
            await self._keep(reader, entry)
            await channel.write(reader.ending(entry))
            channel.close(whole=True)
        elif refusal is not None and not self.begun.done():
            self.begun.set_result(Rejected(refusal, admitted.reservation, entry))
            channel.close(whole=False)
        elif refusal is not None:
            await channel.write(reader.failure(refusal))
            channel.close(whole=False)

    def _reader_of(self, candidate: Candidate) -> StreamReader:
        return candidate.wire.stream_reader(self._admitted.request, self._admitted.reservation.id)

    async def _keep(self, reader: AnswerReader | StreamReader, entry: LedgerEntry) -> None:
        """Have a settled answer kept before its client learns that it is whole; one that could not be says so."""
        answer = None if self._keeper is None else reader.settled(entry)
        if self._keeper is not None and answer is not None and not await self._keeper.keep(answer):
            reader.unkept()

    def stop(self) -> None:
        """Read no further: what has come so far is settled. For a shutdown that cannot wait."""
        self._stopped = True
        self._read_on_for(0)

    def _read_on_for(self, seconds: float) -> None:
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _until_stopped[T](
        self, use: Callable[[UpstreamAnswer, Candidate], Awaitable[T | _Failure]], salvage: Callable[[], T | _Failure]
    ) -> T | _Failure:
        """Return what comes of the upstreams, or what `salvage` makes of it when reading was cut short."""
        try:
            async with asyncio.timeout(0 if self._stopped else None) as self._reading:
                return await self._first_answer(use)
        except TimeoutError:
            return salvage()
        finally:
            self._reading = None

    async def _first_answer[T](
        self, use: Callable[[UpstreamAnswer, Candidate], Awaitable[T | _Failure]]
    ) -> T | _Failure:
        """Try the routes in order until one answers 200 and give that answer to `use`; or say why none did."""
        failure = _Failure(_DOWN, settlement.released(Reason.UPSTREAM_REFUSED))
        for candidate in self._admitted.routes:
            pool = candidate.pool
            try:
                async with self._upstream.open(self._call(candidate)) as answer:
                    if answer.status == 200:
                        return await use(answer, candidate)
                    _log.warning("pool %s answered %d", pool.id, answer.status)
                    if answer.status in _BLAMES_THE_BODY:
                        return await self._rejected(answer, candidate)
                    failure = _Failure(_DOWN if answer.status in _BUSY else _FAILED, failure.verdict)
            except UpstreamUnreachable:
                _log.warning("pool %s cannot be reached", pool.id)
                failure = _Failure(_DOWN, failure.verdict)
            except UpstreamError as error:
                _log.warning("pool %s: %s", pool.id, error)
                refusal = _TIMED_OUT if isinstance(error, UpstreamTimeout) else _BROKE
                return self._no_answer(refusal)
        return failure

    async def _rejected(self, answer: UpstreamAnswer, candidate: Candidate) -> _Failure:
        """Return the failure of a request that the upstream finds invalid, or longer than the context."""
        with contextlib.suppress(UpstreamError):
            if candidate.wire.says_too_long(await _all_of(answer)):
                window = self._admitted.reservation.wanted.model.context_window
                detail = f"The input is longer than the model's context window of {window} tokens. Shorten it."
                too_long = Refusal(Code.CONTEXT_LENGTH_EXCEEDED, detail, param=self._admitted.input_field)
                return _Failure(too_long, settlement.counted_free(Reason.CLIENT_ERROR))
        return _Failure(_REJECTED, settlement.counted_free(Reason.CLIENT_ERROR))

    async def _relay(
        self, answer: UpstreamAnswer, candidate: Candidate, reader: StreamReader, channel: Channel
    ) -> Verdict | _Failure:
        """Pass an answer on until it ends, breaks, or nobody reads it any more."""
        refusal, finished = _BROKE, False
        try:
            async for data in answer.body:
                frames = reader.feed(data)
                if frames:
                    self._begin()
                    await channel.write(frames)
                reading = reader.reading()
                if reader.done or reading.garbled:
                    break
                if reading.finished and not finished:
                    finished = True
                    self._read_on_for(_TAIL_S)
                if channel.abandoned.is_set() and candidate.pool.when_client_leaves is WhenClientLeaves.STOP:
                    return self._charged(reading, Reason.CLIENT_LEFT)
        except UpstreamError as error:
            if not self.begun.done():
                raise
            refusal = _TIMED_OUT if isinstance(error, UpstreamTimeout) else _BROKE
        return self._as_read(reader, channel, refusal)

    def _as_read(self, reader: StreamReader, channel: Channel, refusal: Refusal) -> Verdict | _Failure:
        """Return how a stream ends that is read no further: whole, or broken off with `refusal`."""
        reading = reader.reading()
        if reading.finished:
            return self._charged(reading, Reason.CLIENT_LEFT if channel.abandoned.is_set() else Reason.ANSWERED)
        if reading.produced_bytes == 0:
            return self._no_answer(refusal)
        return _Failure(refusal, self._charged(reading, Reason.UPSTREAM_BROKE))

    def _begin(self) -> None:
        if self._first_token_at_ms is None:
            self._first_token_at_ms = self._clock.now_ms()
        if not self.begun.done():
            self.begun.set_result(None)

    def _call(self, candidate: Candidate) -> UpstreamCall:
        """Return the call for a route, with the very cap the reservation was made with."""
        admitted = self._admitted
        cap = admitted.reservation.projection.output_cap
        wire, pool = candidate.wire, candidate.pool
        body = wire.upstream_body(admitted.request, pool, model=candidate.route.model, output_cap=cap)
        deadline = self._reservations.deadline_unix_ms(admitted.reservation)
        return UpstreamCall(pool, wire.path, body, deadline, f"req_{admitted.reservation.id}")

    def _no_answer(self, refusal: Refusal) -> _Failure:
        """Return the failure of a call that may have been billed and brought nothing; it says so if it is charged."""
        verdict = self._reservations.unanswered(self._admitted.reservation, Reason.NO_ANSWER)
        if verdict.figures.charge_nano_usd:
            refusal = replace(refusal, detail=f"{refusal.detail} {_CHARGED_ALL_THE_SAME}")
        return _Failure(refusal, verdict)

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

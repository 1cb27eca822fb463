"""
The exchange of one admitted request: call upstreams, read the answer, settle.

It ends the reservation in exactly one way, whatever happens:

=============================================  ==================================================================
what happened                                  how the reservation ends
=============================================  ==================================================================
no route took the request                      released: nothing is owed
a route: the client's body is to blame         charged 0, the request stays counted
sent, and nothing came of any try              exposure (or the held amount above the cap)
broke after some of the answer                 charged for what was produced; the client sees an error event
client left                                    read on or hang up as the pool says; charged for what was produced
answered                                       charged for the usage reported, or estimated where there is none
=============================================  ==================================================================

Which routes are tried, and when no more, is `application/tries`. Whatever was tried is one reservation and one charge;
tries without an answer that may have cost us are recorded as exposure beside it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from jatevo.application.admission import Admitted
from jatevo.application.channel import Channel
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import AnswerReader, Candidate, Keeper, Reading, StreamReader
from jatevo.application.health import Health
from jatevo.application.ports import (
    Clock,
    StoreError,
    Upstream,
    UpstreamAnswer,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)
from jatevo.application.reservations import Reservation, Reservations
from jatevo.application.tries import BROKE, TIMED_OUT, BodyRejected, Deadlines, Miss, Tries, all_of
from jatevo.domain import settlement
from jatevo.domain.catalogue import CountedBy, WhenClientLeaves
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.settlement import Verdict
from jatevo.domain.tokens import UsageSource, trusted

_log = logging.getLogger(__name__)

_TAIL_S = 5.0
"""How long after the last choice has finished its usage and end marker are waited for."""

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


@dataclass(frozen=True, slots=True)
class _Started:
    """A stream that has something to say: `frames` are what can go out of what has been read of `answer`."""

    answer: UpstreamAnswer
    reader: StreamReader
    frames: bytes


class Exchange:
    """One admitted request on its way: call either `whole` or `stream`, once."""

    def __init__(
        self,
        admitted: Admitted,
        upstream: Upstream,
        reservations: Reservations,
        errors: ClientErrors,
        clock: Clock,
        health: Health,
        keeper: Keeper | None = None,
        *,
        failover_s: int = 180,
    ) -> None:
        self._admitted = admitted
        self._reservations = reservations
        self._errors = errors
        self._clock = clock
        self._keeper = keeper
        self._health = health
        self._first_token_at_ms: int | None = None
        self._reading: asyncio.Timeout | None = None
        self._stopped = False
        self._channel = Channel()
        self._candidate = admitted.plan.routes[0]
        self.journal = admitted.request.journal
        reservation = admitted.reservation
        deadlines = Deadlines(
            reservations.deadline_unix_ms(reservation), reservation.reserved_at_ms + failover_s * 1000
        )
        self._tries = Tries(admitted, upstream, health, clock, deadlines, reservations.slots, self._abandoned)
        self.begun: asyncio.Future[Rejected | None] = asyncio.get_running_loop().create_future()
        """Of a stream: None once there is something to send, or the refusal that came instead."""

    @property
    def reservation(self) -> Reservation:
        return self._admitted.reservation

    async def whole(self) -> Completed | Rejected:
        """Answer in one piece."""
        admitted = self._admitted

        async def read() -> tuple[AnswerReader, Reading] | _Failure:
            async with self._tries.first(self._read_whole) as outcome:
                if isinstance(outcome, Miss | BodyRejected):
                    return self._failure(outcome)
                self._candidate = outcome.candidate
                return outcome.value

        result = await self._until_stopped(read, lambda: self._no_answer(BROKE, under_way=1))
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
        self._channel = channel
        reader = self._reader_of(self._candidate)

        async def relay() -> Verdict | _Failure:
            nonlocal reader
            async with self._tries.first(self._start) as outcome:
                if isinstance(outcome, Miss | BodyRejected):
                    return self._failure(outcome)
                self._candidate, reader = outcome.candidate, outcome.value.reader
                return await self._relay(outcome.value, channel)

        result = await self._until_stopped(relay, lambda: self._as_read(reader, channel, BROKE, under_way=1))
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
            self.journal.code = refusal.code
            await channel.write(reader.failure(refusal))
            channel.close(whole=False)

    def stop(self) -> None:
        """Read no further: what has come so far is settled. For a shutdown that cannot wait."""
        self._stopped = True
        self._read_on_for(0)

    def _reader_of(self, candidate: Candidate) -> StreamReader:
        return candidate.wire.stream_reader(self._admitted.request, self._admitted.reservation.id)

    async def _keep(self, reader: AnswerReader | StreamReader, entry: LedgerEntry) -> None:
        """Have a settled answer kept before its client learns that it is whole; one that could not be says so."""
        answer = None if self._keeper is None else reader.settled(entry)
        if self._keeper is not None and answer is not None and not await self._keeper.keep(answer):
            reader.unkept()

    def _read_on_for(self, seconds: float) -> None:
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _until_stopped[T](
        self, read: Callable[[], Awaitable[T | _Failure]], salvage: Callable[[], T | _Failure]
    ) -> T | _Failure:
        """Return what comes of the upstreams, or what `salvage` makes of it when reading was cut short."""
        try:
            async with asyncio.timeout(0 if self._stopped else None) as self._reading:
                return await read()
        except TimeoutError:
            return salvage()
        finally:
            self._reading = None

    async def _read_whole(self, candidate: Candidate, answer: UpstreamAnswer) -> tuple[AnswerReader, Reading]:
        reader = candidate.wire.answer_reader(self._admitted.request, self._admitted.reservation.id)
        reading = reader.read(await all_of(answer))
        if reading.garbled:
            raise UpstreamBroken("not an answer")
        return reader, reading

    async def _start(self, candidate: Candidate, answer: UpstreamAnswer) -> _Started:
        """Read a stream until it has content. Until then nothing of it goes out, so that another can take its place."""
        reader = self._reader_of(candidate)
        frames = b""
        async for data in answer.body:
            frames += reader.feed(data)
            reading = reader.reading()
            if reading.garbled and not reading.produced_bytes:
                break
            if reading.produced_bytes or reading.finished or reader.done or self._left(candidate):
                return _Started(answer, reader, frames)
        raise UpstreamBroken("no answer")

    async def _relay(self, started: _Started, channel: Channel) -> Verdict | _Failure:
        """Pass an answer on until it ends, breaks, or nobody reads it any more."""
        reader, refusal = started.reader, BROKE
        try:
            if started.frames:
                self._begin()
                await channel.write(started.frames)
            if await self._passed_on(started.answer.body, reader, channel):
                return self._charged(reader.reading(), Reason.CLIENT_LEFT)
        except UpstreamError as error:
            refusal = TIMED_OUT if isinstance(error, UpstreamTimeout) else BROKE
        if not reader.reading().finished:
            await self._tries.note_break(self._candidate)
        return self._as_read(reader, channel, refusal)

    async def _passed_on(self, body: AsyncIterator[bytes], reader: StreamReader, channel: Channel) -> bool:
        """Read to the end and pass on what comes. Return True when the client has left and the pool may be stopped."""
        finished = False
        while True:
            reading = reader.reading()
            if reader.done or reading.garbled:
                return False
            if reading.finished and not finished:
                finished = True
                self._read_on_for(_TAIL_S)
            if self._left(self._candidate):
                return True
            data = await anext(body, None)
            if data is None:
                return False
            frames = reader.feed(data)
            if frames:
                self._begin()
                await channel.write(frames)

    def _abandoned(self) -> bool:
        return self._channel.abandoned.is_set()

    def _left(self, candidate: Candidate) -> bool:
        """Return whether nobody reads any more, and hanging up on the pool ends its work."""
        return self._abandoned() and candidate.pool.when_client_leaves is WhenClientLeaves.STOP

    def _as_read(
        self, reader: StreamReader, channel: Channel, refusal: Refusal, *, under_way: int = 0
    ) -> Verdict | _Failure:
        """
        Return how a stream ends that is read no further: whole, or broken off with `refusal`.

        `under_way`: tries that were cut short, should nothing have come.
        """
        reading = reader.reading()
        if reading.finished:
            return self._charged(reading, Reason.CLIENT_LEFT if channel.abandoned.is_set() else Reason.ANSWERED)
        if reading.produced_bytes == 0:
            return self._no_answer(refusal, under_way=under_way)
        return _Failure(refusal, self._charged(reading, Reason.UPSTREAM_BROKE))

    def _begin(self) -> None:
        if self._first_token_at_ms is None:
            self._first_token_at_ms = self._clock.now_ms()
            self.journal.mark("first_token")
        if not self.begun.done():
            self.begun.set_result(None)

    def _failure(self, outcome: Miss | BodyRejected) -> _Failure:
        """Return the failure of a request that no route answered."""
        if isinstance(outcome, BodyRejected):
            return _Failure(outcome.refusal, self._exposed(settlement.counted_free(Reason.CLIENT_ERROR)))
        if self._tries.possibly_billed:
            return self._no_answer(outcome.refusal)
        return _Failure(outcome.refusal, settlement.released(Reason.UPSTREAM_REFUSED))

    def _no_answer(self, refusal: Refusal, *, under_way: int = 0) -> _Failure:
        """Return the failure of tries that may have been billed and brought nothing; it says so if it is charged."""
        tries = max(1, self._tries.possibly_billed + under_way)
        verdict = self._reservations.unanswered(self._admitted.reservation, Reason.NO_ANSWER, tries=tries)
        if verdict.figures.charge_nano_usd:
            refusal = replace(refusal, detail=f"{refusal.detail} {_CHARGED_ALL_THE_SAME}")
        return _Failure(refusal, verdict)

    def _exposed(self, verdict: Verdict) -> Verdict:
        """Return a verdict with what earlier tries without an answer may have cost us."""
        if not self._tries.possibly_billed:
            return verdict
        exposure = self._tries.possibly_billed * self._admitted.reservation.terms.reserved_nano_usd
        return replace(verdict, figures=replace(verdict.figures, exposure_nano_usd=exposure))

    def _charged(self, reading: Reading, reason: Reason) -> Verdict:
        """Return the charge for what was read: by the upstream's count where it can be believed."""
        self._health.note_model(self._candidate.pool.id, self._candidate.route.model, reading.answered_as)
        counted = reading.usage is not None and self._candidate.pool.usage is CountedBy.REPORTED
        usage = trusted(reading.usage) if counted and reading.usage is not None else None
        source = UsageSource.REPORTED
        if usage is None or (usage.output_tokens == 0 and reading.produced_bytes > 0):
            projection = self._admitted.reservation.projection
            usage = settlement.estimated_usage(
                self._admitted.request.size,
                reading.produced_bytes,
                most_input_tokens=projection.input_tokens,
                context_window=self._admitted.plan.model.context_window,
                choices=projection.choices,
            )
            source = UsageSource.ESTIMATED
        return self._exposed(settlement.charged_for_usage(self._admitted.reservation.terms, reason, usage, source))

    async def _settle(self, verdict: Verdict) -> LedgerEntry | None:
        """End the reservation. None when the decision could not be stored: then the sweeper expires it."""
        reservation, journal = self._admitted.reservation, self.journal
        journal.mark("stream" if "first_token" in journal.phases else "answer")
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
        finally:
            journal.mark("settle")
        journal.entry = entry
        if entry.figures.overrun_nano_usd:
            _log.error("reservation %s overran by %d nano-USD", reservation.id, entry.figures.overrun_nano_usd)
        return entry

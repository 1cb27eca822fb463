"""
Inference: the main job of the gateway, from a caller and a request to a settled answer.

Reading the upstream and settling run in tasks of their own: a client that leaves, or a handler that is cancelled,
cannot stop them.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jatevo.application.admission import Admission, InputCount
from jatevo.application.channel import Channel
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import Formats, InferenceRequest, Keeper
from jatevo.application.health import Health
from jatevo.application.ports import Clock, StoreError, Upstream
from jatevo.application.relay import UNSETTLED, Completed, Exchange, Rejected
from jatevo.application.reservations import Reservation, Reservations
from jatevo.domain.accounts import Caller
from jatevo.domain.catalogue import Model
from jatevo.domain.refusals import Code, Refusal

_log = logging.getLogger(__name__)

DRAIN_PATIENCE_S = 10.0
_STORE_DOWN = Refusal(Code.SERVICE_UNAVAILABLE, "The gateway cannot account for requests right now. Try again shortly.")


@dataclass(frozen=True, slots=True)
class Streaming:
    """An answer on its way through `channel`. `late`: nothing came for as long as a stream is left in silence."""

    reservation: Reservation
    channel: Channel
    late: bool


class Inference:
    """Serves requests for one gateway process. `heartbeat_s`: the longest silence a waiting stream is left in."""

    def __init__(
        self,
        admission: Admission,
        reservations: Reservations,
        upstream: Upstream,
        clock: Clock,
        errors: ClientErrors,
        health: Health,
        *,
        heartbeat_s: float = 15.0,
        failover_s: int = 180,
    ) -> None:
        self._admission = admission
        self._reservations = reservations
        self._upstream = upstream
        self._clock = clock
        self._errors = errors
        self._health = health
        self._failover_s = failover_s
        self.heartbeat_s = heartbeat_s
        self._running: set[asyncio.Task[Any]] = set()
        self._exchanges: set[Exchange] = set()

    async def complete(
        self, caller: Caller, request: InferenceRequest, formats: Formats, keeper: Keeper | None = None
    ) -> Completed | Rejected:
        """Answer a request in one piece; `keeper` keeps the answer before its client gets it."""
        return await asyncio.shield(self._detached(self._complete(caller, request, formats, keeper)))

    async def stream(
        self, caller: Caller, request: InferenceRequest, formats: Formats, keeper: Keeper | None = None
    ) -> Streaming | Rejected:
        """
        Begin a streamed answer. Returns with its first byte, or with the refusal that came instead, or after
        `heartbeat_s` of silence: then a failure can only be told within the stream.
        """
        return await asyncio.shield(self._detached(self._begin(caller, request, formats, keeper)))

    async def model_of(self, caller: Caller, request: InferenceRequest, formats: Formats) -> Model | Refusal:
        """Return the model that would serve a request, or why none would. Raises StoreError."""
        return await self._admission.model_of(caller, request, formats)

    async def count(self, caller: Caller, request: InferenceRequest, formats: Formats) -> InputCount | Refusal:
        """Return how many tokens the input of a request comes to. Nothing is charged. Raises StoreError."""
        return await self._admission.count(caller, request, formats)

    async def prepare(self) -> None:
        """Get ready to serve. Raises StoreError when the store cannot be read."""
        await self._admission.prepare()

    async def drain(self, patience_s: float | None = DRAIN_PATIENCE_S) -> None:
        """
        Settle everything under way: before a process ends, or is frozen.

        Answers still being read after `patience_s` (None: however long they take) are read no further and charged for
        what had come.
        """
        if self._running:
            await asyncio.wait(self._running, timeout=patience_s)
        for exchange in tuple(self._exchanges):
            exchange.stop()
        while self._running:
            await asyncio.wait(self._running)

    async def _complete(
        self, caller: Caller, request: InferenceRequest, formats: Formats, keeper: Keeper | None
    ) -> Completed | Rejected:
        exchange = await self._admitted(caller, request, formats, keeper)
        if isinstance(exchange, Rejected):
            return exchange
        with self._known(exchange):
            return await exchange.whole()

    async def _begin(
        self, caller: Caller, request: InferenceRequest, formats: Formats, keeper: Keeper | None
    ) -> Streaming | Rejected:
        exchange = await self._admitted(caller, request, formats, keeper)
        if isinstance(exchange, Rejected):
            return exchange
        request.journal.streamed = True
        left_ms = self._reservations.deadline_unix_ms(exchange.reservation) - self._clock.now_ms()
        channel = Channel(left_s=left_ms / 1000)
        self._detached(self._guarded(exchange, channel))
        await asyncio.wait({exchange.begun}, timeout=self.heartbeat_s)
        late = not exchange.begun.done()
        if late:
            exchange.begun.set_result(None)
        return exchange.begun.result() or Streaming(exchange.reservation, channel, late)

    async def _admitted(
        self, caller: Caller, request: InferenceRequest, formats: Formats, keeper: Keeper | None
    ) -> Exchange | Rejected:
        try:
            admitted = await self._admission.admit(caller, request, formats)
        except StoreError as error:
            _log.error("nothing could be reserved: %s", error)
            return Rejected(_STORE_DOWN)
        if isinstance(admitted, Refusal):
            return Rejected(admitted)
        return Exchange(
            admitted,
            self._upstream,
            self._reservations,
            self._errors,
            self._clock,
            self._health,
            keeper,
            failover_s=self._failover_s,
        )

    async def _guarded(self, exchange: Exchange, channel: Channel) -> None:
        """Run a stream. This is the outermost edge of its task: whatever escapes must not leave its reader waiting."""
        try:
            with self._known(exchange):
                await exchange.stream(channel)
        except Exception:  # noqa: BLE001 - the outermost edge of a task
            _log.exception("a stream failed; the sweeper will end its reservation")
            if not exchange.begun.done():
                exchange.begun.set_result(Rejected(UNSETTLED, exchange.reservation))
            channel.close(whole=False)

    @contextmanager
    def _known(self, exchange: Exchange) -> Iterator[None]:
        """Keep an exchange where `drain` finds it, and its journal open."""
        self._exchanges.add(exchange)
        try:
            with exchange.journal:
                yield
        finally:
            self._exchanges.discard(exchange)

    def _detached[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

"""
Inference: the main job of the gateway, from a caller and a request to a settled answer.

Reading the upstream and settling run in tasks of their own: a client that leaves, or a handler that is cancelled,
cannot stop them.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from jatevo.application.admission import Admission
from jatevo.application.channel import Channel
from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import InferenceRequest, WireFormat
from jatevo.application.ports import Clock, StoreError, Upstream
from jatevo.application.relay import UNSETTLED, Completed, Exchange, Rejected
from jatevo.application.reservations import Reservation, Reservations
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal

_log = logging.getLogger(__name__)

_STORE_DOWN = Refusal(Code.SERVICE_UNAVAILABLE, "The gateway cannot account for requests right now. Try again shortly.")


@dataclass(frozen=True, slots=True)
class Streaming:
    """An answer on its way through `channel`."""

    reservation: Reservation
    channel: Channel


class Inference:
    """Serves requests for one gateway process. `heartbeat_s`: the longest silence a waiting stream is left in."""

    def __init__(
        self,
        admission: Admission,
        reservations: Reservations,
        upstream: Upstream,
        clock: Clock,
        errors: ClientErrors,
        *,
        heartbeat_s: float = 15.0,
    ) -> None:
        self._admission = admission
        self._reservations = reservations
        self._upstream = upstream
        self._clock = clock
        self._errors = errors
        self.heartbeat_s = heartbeat_s
        self._running: set[asyncio.Task[Any]] = set()

    async def complete(self, caller: Caller, request: InferenceRequest, wire: WireFormat) -> Completed | Rejected:
        """Answer a request in one piece."""
        return await asyncio.shield(self._detached(self._complete(caller, request, wire)))

    async def stream(self, caller: Caller, request: InferenceRequest, wire: WireFormat) -> Streaming | Rejected:
        """
        Begin a streamed answer. Returns with its first byte, or with the refusal that came instead, or after
        `heartbeat_s` of silence: then a failure can only be told within the stream.
        """
        return await asyncio.shield(self._detached(self._begin(caller, request, wire)))

    async def drain(self) -> None:
        """Wait until everything under way is settled: for an orderly shutdown."""
        while self._running:
            await asyncio.wait(self._running)

    async def _complete(self, caller: Caller, request: InferenceRequest, wire: WireFormat) -> Completed | Rejected:
        exchange = await self._admitted(caller, request, wire)
        return exchange if isinstance(exchange, Rejected) else await exchange.whole()

    async def _begin(self, caller: Caller, request: InferenceRequest, wire: WireFormat) -> Streaming | Rejected:
        exchange = await self._admitted(caller, request, wire)
        if isinstance(exchange, Rejected):
            return exchange
        channel = Channel()
        self._detached(self._guarded(exchange, channel))
        await asyncio.wait({exchange.begun}, timeout=self.heartbeat_s)
        if not exchange.begun.done():
            exchange.begun.set_result(None)
        return exchange.begun.result() or Streaming(exchange.reservation, channel)

    async def _admitted(self, caller: Caller, request: InferenceRequest, wire: WireFormat) -> Exchange | Rejected:
        try:
            admitted = await self._admission.admit(caller, request, wire)
        except StoreError:
            _log.exception("nothing could be reserved")
            return Rejected(_STORE_DOWN)
        if isinstance(admitted, Refusal):
            return Rejected(admitted)
        return Exchange(admitted, self._upstream, self._reservations, self._errors, self._clock)

    async def _guarded(self, exchange: Exchange, channel: Channel) -> None:
        """Run a stream. This is the outermost edge of its task: whatever escapes must not leave its reader waiting."""
        try:
            await exchange.stream(channel)
        except Exception:  # noqa: BLE001 - the outermost edge of a task
            _log.exception("a stream failed; the sweeper will end its reservation")
            if not exchange.begun.done():
                exchange.begun.set_result(Rejected(UNSETTLED, exchange.reservation))
            channel.close(whole=False)

    def _detached[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

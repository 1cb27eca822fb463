"""
Settling: decide how a reservation ends, and apply the decision that stands to every window that holds it.

The decision is put once; whoever comes second uses what is stored. Applying is idempotent, so both are repeated
through store failures as long as there is time; what is left then, the sweeper ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from jatevo.application.ports import Clock, Directory, Ledger, StoreError, WindowStore
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.application.wanted import Reservation
from jatevo.domain import settlement
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.settlement import Verdict
from jatevo.domain.tokens import UsageSource
from jatevo.domain.windows import Hold, WindowKey

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_RELEASE_PATIENCE_S = 5


class Settling:
    """Ends reservations, for one gateway process. `grace_s` as in `wanted.Policy`."""

    def __init__(
        self,
        windows: WindowStore,
        ledger: Ledger,
        directory: Directory,
        clock: Clock,
        memory: RefusalMemory,
        *,
        grace_s: int,
    ) -> None:
        self._windows = windows
        self._ledger = ledger
        self._directory = directory
        self._clock = clock
        self._memory = memory
        self._grace_s = grace_s

    async def settle(
        self,
        reservation: Reservation,
        verdict: Verdict,
        timings: Timings,
        further: Sequence[tuple[WindowKey, Hold]] = (),
    ) -> LedgerEntry:
        """
        End a reservation, and the holds it took `further` since. Never repeats past its expiry.

        Raises StoreError only when not even the decision could be stored by then.
        """
        until = min(reservation.expires_at_unix_s, self._now() + self._grace_s)
        holds = (*reservation.holds, *further)
        entry = self._entry(reservation, holds, verdict, timings)
        stored = await self._until(until, lambda: self._ledger.decide(entry))
        await self._apply(reservation.id, holds, stored, until)
        await self._learn(reservation, stored)
        return stored

    async def release(self, draft: Reservation, reason: Reason) -> None:
        """Release an attempt that was not accepted, while its client waits: so for a few seconds at most."""
        entry = self._entry(draft, draft.holds, settlement.released(reason), Timings())
        until = min(draft.expires_at_unix_s, self._now() + _RELEASE_PATIENCE_S)
        stored = await self._until(until, lambda: self._ledger.decide(entry))
        await self._apply(draft.id, draft.holds, stored, until)

    def _entry(
        self, reservation: Reservation, holds: Sequence[tuple[WindowKey, Hold]], verdict: Verdict, timings: Timings
    ) -> LedgerEntry:
        wanted = reservation.wanted
        windows = tuple(key for key, _ in holds)
        return LedgerEntry(
            account_id=wanted.caller.account.id,
            day=utc_day(reservation.reserved_at_ms // 1000),
            reservation_id=reservation.id,
            outcome=verdict.outcome,
            reason=verdict.reason,
            reserved_nano_usd=reservation.terms.reserved_nano_usd,
            windows=windows,
            key_id=wanted.caller.key.id,
            model=wanted.model.id,
            lane=wanted.lane.id,
            price_version=wanted.price_version,
            usage=verdict.usage,
            usage_source=verdict.usage_source,
            figures=verdict.figures,
            timings=timings,
            decided_at_ms=self._clock.now_ms(),
            money_in=None if windows == reservation.money_in else reservation.money_in,
        )

    async def _apply(
        self, reservation_id: str, holds: Sequence[tuple[WindowKey, Hold]], stored: LedgerEntry, until_unix_s: int
    ) -> None:
        for key, hold in holds:

            async def once(key: WindowKey = key, hold: Hold = hold) -> bool:
                return await self._windows.settle(
                    key,
                    reservation_id,
                    hold,
                    charge_nano_usd=stored.charged_in(key),
                    give_request_back=stored.gives_request_back,
                    exposed_nano_usd=stored.exposed_in(key),
                )

            try:
                await self._until(until_unix_s, once)
            except StoreError:
                _log.warning("reservation %s: decided, not applied; the sweeper will", reservation_id)
            self._memory.forget(key)

    async def _learn(self, reservation: Reservation, stored: LedgerEntry) -> None:
        """Feed an input that was larger than projected back into the account's estimate."""
        projected, reported = reservation.projection.input_tokens, stored.usage.input_tokens
        if stored.usage_source is not UsageSource.REPORTED or reported <= projected:
            return
        applied = reservation.wanted.ask.estimate_permille
        permille = settlement.observed_estimate_permille(projected, reported, applied)
        try:
            await self._directory.raise_estimate(stored.account_id, permille, self._now())
        except StoreError:
            _log.warning("reservation %s: the observed estimate was not stored", reservation.id)

    async def _until[T](self, until_unix_s: int, send: Callable[[], Awaitable[T]]) -> T:
        """Repeat an idempotent write through store failures, until the given time."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await send()
            except StoreError:
                if self._now() + pause_s >= until_unix_s:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

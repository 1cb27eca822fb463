"""
The sweeper: ends what handlers left behind.

It decides `expired` for every reservation past its expiry that nobody decided (`released` for one that its account
never took, so that was not accepted), and applies whatever decision stands.
A window stays in the sweep index while anything is open in it; one bad window never stops the rest.
"""

import logging
from dataclasses import dataclass

from jatevo.application.ports import Clock, Ledger, WindowStore
from jatevo.domain import ids, settlement
from jatevo.domain.accounts import account_window, key_window, owning_account
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry, Reason
from jatevo.domain.money import share_nano_usd
from jatevo.domain.windows import Hold, Window, WindowKey

_log = logging.getLogger(__name__)

_WINDOWS_PER_SHARD = 100
_MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one run did. `expired` counts reservations it decided; `applied` ones had been decided before."""

    windows: int = 0
    expired: int = 0
    applied: int = 0
    failed: int = 0

    def __add__(self, other: "SweepReport") -> "SweepReport":
        return SweepReport(*(getattr(self, name) + getattr(other, name) for name in SweepReport.__slots__))


class Sweeper:
    """Ends reservations past their expiry. `exposure_cap_bps` as in `reservations.Policy`."""

    def __init__(self, windows: WindowStore, ledger: Ledger, clock: Clock, *, exposure_cap_bps: int) -> None:
        self._windows = windows
        self._ledger = ledger
        self._clock = clock
        self._exposure_cap_bps = exposure_cap_bps

    async def run(self, *, full: bool = False) -> SweepReport:
        """
        End everything that is due. `full` looks at every window with something open, by a scan, and puts those that
        were missing back into the sweep index: a repair, not a routine.
        """
        report = SweepReport()
        if full:
            async for key in self._windows.all_open():
                report += await self._guarded(key)
            return report
        done: set[WindowKey] = set()
        for _ in range(_MOST_ROUNDS):
            keys = [key for key in await self._windows.due(self._now(), _WINDOWS_PER_SHARD) if key not in done]
            if not keys:
                break
            for key in keys:
                report += await self._guarded(key)
            done.update(keys)
        return report

    async def _guarded(self, key: WindowKey) -> SweepReport:
        try:
            return await self._sweep(key)
        except Exception:  # noqa: BLE001 - one bad window never stops the rest
            _log.exception("the window %s %s could not be swept", key.owner, key.period)
            return SweepReport(windows=1, failed=1)

    async def _sweep(self, key: WindowKey) -> SweepReport:
        window = await self._windows.read(key)
        if window is None:
            return SweepReport()
        report = SweepReport(windows=1)
        now = self._now()
        waiting: list[int] = []
        for reservation_id, hold in window.open.items():
            if hold.expires_at_unix_s >= now:
                waiting.append(hold.expires_at_unix_s)
            else:
                report += await self._end(window, reservation_id, hold)
        await self._windows.schedule_sweep(window, min(waiting, default=None))
        return report

    async def _end(self, window: Window, reservation_id: str, hold: Hold) -> SweepReport:
        """Decide about a reservation unless that is done, and apply the decision to all of its windows at once."""
        entry = await self._left_behind(window, reservation_id, hold)
        stored = await self._ledger.decide(entry)
        for key in dict.fromkeys((window.key, *stored.windows)):
            await self._windows.settle(
                key,
                reservation_id,
                hold,
                charge_nano_usd=min(stored.figures.charge_nano_usd, hold.amount_nano_usd),
                give_request_back=stored.gives_request_back,
                exposed_nano_usd=stored.figures.exposure_nano_usd if key.owner == stored.account_id else 0,
            )
        if stored == entry:
            _log.warning("reservation %s of %s was left behind: %s", reservation_id, stored.account_id, stored.outcome)
            return SweepReport(expired=1)
        return SweepReport(applied=1)

    async def _left_behind(self, window: Window, reservation_id: str, hold: Hold) -> LedgerEntry:
        """Return the decision about a reservation that its handler never ended."""
        account_id, key_id = owning_account(window.key), f"key_{hold.key_ref}"
        day = utc_day(ids.reserved_at_ms(reservation_id) // 1000)
        # Read afresh for each reservation: exposure of those ended in this very run counts.
        of_key = await self._windows.read(key_window(account_id, key_id, day))
        of_account = await self._windows.read(account_window(account_id, day))
        holding = [held for held in (of_key, of_account) if held is not None and reservation_id in held.open]
        if of_account is None or of_account not in holding:
            # Held by a narrower window only; the account comes last, so the request was never accepted.
            verdict = settlement.released(Reason.RESERVE_UNKNOWN)
        else:
            cap = share_nano_usd(of_account.limits.budget_nano_usd, self._exposure_cap_bps)
            left = cap - of_account.exposed_nano_usd
            verdict = settlement.abandoned(hold.amount_nano_usd, exposure_left_nano_usd=left)
        return LedgerEntry(
            account_id=account_id,
            day=day,
            reservation_id=reservation_id,
            outcome=verdict.outcome,
            reason=verdict.reason,
            reserved_nano_usd=hold.amount_nano_usd,
            windows=tuple(held.key for held in holding) or (window.key,),
            key_id=key_id,
            figures=verdict.figures,
            decided_at_ms=self._clock.now_ms(),
        )

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

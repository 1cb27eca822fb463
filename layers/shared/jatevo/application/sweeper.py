"""
The sweeper: ends what handlers left behind.

It decides `expired` for every reservation past its expiry that nobody decided (`released` for one that its account
never took, so that was not accepted), and applies whatever decision stands, in every window that holds it.
A window stays in the sweep index while anything is open in it. One bad entry never stops the rest of its window, and
one bad window never stops the rest: it is looked at later than all others that are due.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from jatevo.application.ports import Clock, Ledger, WindowStore
from jatevo.domain import ids, settlement
from jatevo.domain.accounts import account_window, owning_account
from jatevo.domain.binding import Kind, kind_of, read_mark
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry, Reason
from jatevo.domain.money import share_nano_usd
from jatevo.domain.windows import Hold, Window, WindowKey

_log = logging.getLogger(__name__)

_WINDOWS_PER_SHARD = 100
_MOST_ROUNDS = 100
_PUT_OFF_S = 120
"""How much later a window is looked at in which something could not be ended."""


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
            # What is done may still stand in the index, which lags behind: it never takes others' place.
            due = await self._windows.due(self._now(), _WINDOWS_PER_SHARD + len(done))
            keys = [key for key in due if key not in done]
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
            await self._put_off(key)
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
                continue
            ended = await self._ended(window, reservation_id, hold)
            report += ended
            if ended.failed:
                waiting.append(now + _PUT_OFF_S)
        await self._windows.schedule_sweep(window, min(waiting, default=None))
        return report

    async def _put_off(self, key: WindowKey) -> None:
        """Look at a window later than at the others, so that bad ones never crowd out good ones."""
        try:
            window = await self._windows.read(key)
            if window is not None and window.sweep_at_unix_s is not None:
                await self._windows.schedule_sweep(window, self._now() + _PUT_OFF_S)
        except Exception:  # noqa: BLE001 - it stays where it is, and is reported as it was
            _log.warning("the window %s %s could not be put off", key.owner, key.period)

    async def _ended(self, window: Window, reservation_id: str, hold: Hold) -> SweepReport:
        """End one reservation; one that cannot be ended is reported, and left for a later run."""
        try:
            return await self._end(window, reservation_id, hold)
        except Exception:  # noqa: BLE001 - one bad entry never stops the rest
            _log.exception("reservation %s in %s could not be ended", reservation_id, window.key.owner)
            return SweepReport(failed=1)

    async def _end(self, window: Window, reservation_id: str, hold: Hold) -> SweepReport:
        """Decide about a reservation unless that is done, and apply the decision to all of its windows at once."""
        account_id = read_mark(hold.mark).account_id or owning_account(window.key)
        held = await self._held(window, account_id, reservation_id, hold)
        entry = self._left_behind(account_id, reservation_id, hold, held)
        stored = await self._ledger.decide(entry)
        for key in dict.fromkeys((*held, *stored.windows)):
            here = held[key][1] if key in held else await self._hold_in(key, reservation_id)
            if here is not None:
                await self._windows.settle(
                    key,
                    reservation_id,
                    here,
                    charge_nano_usd=stored.charged_in(key),
                    give_request_back=stored.gives_request_back,
                    exposed_nano_usd=stored.exposed_in(key),
                )
        if stored == entry:
            _log.warning("reservation %s of %s was left behind: %s", reservation_id, stored.account_id, stored.outcome)
            return SweepReport(expired=1)
        return SweepReport(applied=1)

    async def _held(
        self, window: Window, account_id: str, reservation_id: str, hold: Hold
    ) -> Mapping[WindowKey, tuple[Window, Hold]]:
        """Return the windows in which a reservation is open, and what it holds there, as its mark leads to them."""
        held = {window.key: (window, hold)}
        for key in read_mark(hold.mark).windows(reservation_id, account_id, hold.key_ref):
            # Read afresh for each reservation: exposure of those ended in this very run counts.
            other = await self._windows.read(key)
            if other is not None and reservation_id in other.open:
                held[key] = (other, other.open[reservation_id])
        return held

    async def _hold_in(self, key: WindowKey, reservation_id: str) -> Hold | None:
        window = await self._windows.read(key)
        return None if window is None else window.open.get(reservation_id)

    def _left_behind(
        self, account_id: str, reservation_id: str, hold: Hold, held: Mapping[WindowKey, tuple[Window, Hold]]
    ) -> LedgerEntry:
        """Return the decision about a reservation that its handler never ended."""
        day = utc_day(ids.reserved_at_ms(reservation_id) // 1000)
        resale = read_mark(hold.mark).resale_nano_usd
        at_cost = {key: one for key, (_, one) in held.items() if resale is None or kind_of(key) is not Kind.KEY}
        amount = max((one.amount_nano_usd for one in at_cost.values()), default=0)
        windows, money_in = tuple(held), tuple(key for key, (_, one) in held.items() if one.amount_nano_usd)
        of_account = held.get(account_window(account_id, day))
        if of_account is None:
            # Held by narrower windows only; the account comes last, so the request was never accepted.
            verdict = settlement.released(Reason.RESERVE_UNKNOWN)
        else:
            window = of_account[0]
            cap = share_nano_usd(window.limits.budget_nano_usd, self._exposure_cap_bps)
            verdict = settlement.abandoned(
                amount,
                exposure_left_nano_usd=cap - window.exposed_nano_usd,
                resale_reserved_nano_usd=resale,
            )
        return LedgerEntry(
            account_id=account_id,
            day=day,
            reservation_id=reservation_id,
            outcome=verdict.outcome,
            reason=verdict.reason,
            reserved_nano_usd=amount,
            windows=windows,
            key_id=f"key_{hold.key_ref}",
            figures=verdict.figures,
            decided_at_ms=self._clock.now_ms(),
            money_in=None if money_in == windows else money_in,
        )

    def _now(self) -> int:
        return self._clock.now_ms() // 1000

"""
Corrections: a window that disagrees with the ledger gets the counters that the ledger makes, on record, with a reason.

What was decided is never edited. A correction is an entry of its own beside the decisions, written in one transaction
with the counters, and only while the window still is as it was audited. So an audit afterwards finds no difference, and
whoever asks why a counter moved finds who moved it. What an account should get back for other reasons is a grant.
"""

from collections.abc import Sequence
from typing import Protocol

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import NotThere, Refused
from jatevo.application.day_audits import DayAudits, DayReport
from jatevo.application.ports import Clock, Randomness
from jatevo.application.reconciliation import AccountAudit, Checked, Reconciliation
from jatevo.application.registry import Registry
from jatevo.domain import ids
from jatevo.domain.binding import lane_window
from jatevo.domain.reconciliation import Correction, corrected

_ATTEMPTS = 5
_RANDOM_BITS = 54


class CorrectionStore(Protocol):
    """Corrections, and the counters they move. Raises StoreError."""

    async def correct(self, correction: Correction) -> bool:
        """
        Store a correction and move its window from `before` to `after`, both or neither.

        Return False when the window is no longer as `before` has it.
        """
        ...

    async def corrections(self, account_id: str) -> Sequence[Correction]:
        """Return all corrections of an account, the latest first."""
        ...


class Corrections:
    """The audit by hand, and what follows from it."""

    def __init__(
        self,
        store: CorrectionStore,
        reconciliation: Reconciliation,
        audits: DayAudits,
        registry: Registry,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._store = store
        self._reconciliation = reconciliation
        self._audits = audits
        self._registry = registry
        self._clock = clock
        self._randomness = randomness

    async def audit(self, account_id: str, day: str) -> AccountAudit:
        """Recompute an account's windows of a day. Raises NotThere, InvalidValue, StoreError."""
        if await self._registry.account(account_id) is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")
        return await self._reconciliation.account(account_id, bounds.day(day))

    async def report(self, day: str) -> DayReport:
        """Return what the scheduled audit found on a day. Raises NotThere, InvalidValue, StoreError."""
        report = await self._audits.report(bounds.day(day))
        if report is None:
            raise NotThere(f"{day} has not been audited yet: the schedule takes a day once it is over.", param="day")
        return report

    async def correct(self, account_id: str, day: str, reason: str, operator: str) -> list[Correction]:
        """
        Correct every window of an account's day that disagrees with the ledger; none when none does.

        Raises NotThere, InvalidValue, Refused when requests keep changing what was read, StoreError.
        """
        reason = bounds.reason(reason)
        done: list[Correction] = []
        for _ in range(_ATTEMPTS):
            audit = await self.audit(account_id, day)
            wrong = [one for one in audit.checked if one.differences and one.window is not None]
            if not wrong and not audit.busy:
                return done
            for one in wrong:
                correction = self._correction(account_id, one, reason, operator)
                if await self._store.correct(correction):
                    done.append(correction)
        raise Refused("The account's windows keep changing. Try again when fewer of its requests are under way.")

    async def correct_lane(self, lane_id: str, day: str, reason: str, operator: str) -> list[Correction]:
        """
        Correct a lane's window of a finished day, if it disagrees with what the scheduled audit summed of all accounts.

        What that audit summed does not grow: a window that is not just as it found it may hold what was decided since,
        and is left alone. Raises NotThere, InvalidValue, Refused then and while that audit is not through, StoreError.
        """
        reason = bounds.reason(reason)
        report, key = await self.report(day), lane_window(lane_id, bounds.day(day))
        if not report.complete:
            raise Refused(f"The audit of {day} is not through yet. Try again when it is.")
        due = report.lanes.get(key)
        if due is None:
            raise NotThere(f"Nothing was used in the lane {lane_id[:64]!r} on {day}.", param="lane")
        for _ in range(_ATTEMPTS):
            checked = await self._reconciliation.lane(key, due)
            if checked.window is None:
                raise NotThere(f"The window of the lane {lane_id[:64]!r} on {day} is not kept any more.", param="lane")
            if not checked.differences:
                return []
            if checked.window.open or not set(checked.differences) <= set(report.differences):
                raise Refused("The lane's window is not as the audit found it: requests were settled since.")
            correction = self._correction(key.owner, checked, reason, operator)
            if await self._store.correct(correction):
                return [correction]
        raise Refused("The lane's window keeps changing. Try again later.")

    async def of_lane(self, lane_id: str) -> Sequence[Correction]:
        """Return all corrections of a lane's windows, the latest first. Raises StoreError."""
        return await self._store.corrections(lane_window(lane_id, "").owner)

    async def of_account(self, account_id: str) -> Sequence[Correction]:
        """Return all corrections of an account, the latest first. Raises StoreError."""
        return await self._store.corrections(account_id)

    def _correction(self, owner: str, one: Checked, reason: str, operator: str) -> Correction:
        assert one.window is not None, "there is something to correct"
        now_ms = self._clock.now_ms()
        return Correction(
            id=ids.reservation_id(now_ms, self._randomness.bits(_RANDOM_BITS)),
            account_id=owner,
            window=one.key,
            before=one.window,
            after=corrected(one.window, one.due, one.granted_nano_usd),
            reason=reason,
            operator=operator,
            at_unix_s=now_ms // 1000,
        )

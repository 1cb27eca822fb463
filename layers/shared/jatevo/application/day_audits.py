"""
The scheduled audit: every account's finished day, account by account, then what all of them used in lanes.

A report is stored after each page of accounts, by compare-and-set: a run that is cut short is continued by the next,
and of two that race one gives way. What a report has of a day is also the operator's statement of it: sums by model.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from jatevo.application.ports import Clock
from jatevo.application.reconciliation import AccountAudit, Reconciliation
from jatevo.application.usage import UsageReports
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.calendar import DAY_S, days_between, utc_day
from jatevo.domain.reconciliation import Difference, Due
from jatevo.domain.rollups import OTHER, Tally, Usage, merged
from jatevo.domain.windows import WindowKey

_log = logging.getLogger(__name__)

_ACCOUNTS_AT_ONCE = 8
_ACCOUNTS_A_PAGE = 50
_DAYS_BACK = 7
"""How many days are caught up on when no run came through: an older one is audited by hand."""
MOST_DIFFERENCES = 100
"""How many a report names; it counts them all."""


@dataclass(frozen=True, slots=True)
class DayReport:
    """How far a day's audit has come, and what it found. `complete`: all accounts and lanes."""

    day: str
    version: int = 0
    done_to: str | None = None
    complete: bool = False
    accounts: int = 0
    busy: int = 0
    windows: int = 0
    entries: int = 0
    difference_count: int = 0
    differences: tuple[Difference, ...] = ()
    lanes: Mapping[WindowKey, Due] = field(default_factory=dict)
    tallies: Mapping[Usage, Tally] = field(default_factory=dict)

    def with_account(self, audit: AccountAudit) -> "DayReport":
        lanes = dict(self.lanes)
        for key, due in audit.sums.due.items():
            if kind_of(key) is Kind.LANE:
                lanes[key] = lanes.get(key, Due()) + due
        by_model: dict[Usage, Tally] = {}
        for usage, tally in audit.sums.tallies.items():
            of_model = Usage(OTHER, usage.model)
            by_model[of_model] = by_model.get(of_model, Tally()) + tally
        report = replace(
            self,
            accounts=self.accounts + 1,
            busy=self.busy + audit.busy,
            windows=self.windows + len(audit.checked),
            entries=self.entries + audit.sums.entries,
            lanes=lanes,
            tallies=merged(self.tallies, by_model),
        )
        return report.with_differences(audit.differences)

    def with_differences(self, found: Sequence[Difference]) -> "DayReport":
        return replace(
            self,
            difference_count=self.difference_count + len(found),
            differences=(*self.differences, *found)[:MOST_DIFFERENCES],
        )


class ReportStore(Protocol):
    """Where reports are kept, and whose days there are. Raises StoreError."""

    async def report(self, day: str) -> DayReport | None:
        """Return the report of a day, as it is now."""
        ...

    async def advance(self, report: DayReport) -> bool:
        """Store a report of the next version. Return False when it is no longer the next."""
        ...

    async def accounts(self, after: str | None, limit: int) -> tuple[Sequence[str], str | None]:
        """Return ids of accounts, in no order but always the same, and where to go on; None at the end."""
        ...


class DayAudits:
    """Audits finished days."""

    def __init__(self, store: ReportStore, reconciliation: Reconciliation, usage: UsageReports, clock: Clock) -> None:
        self._store = store
        self._reconciliation = reconciliation
        self._usage = usage
        self._clock = clock

    async def run(self, has_time: Callable[[], bool] = lambda: True) -> DayReport | None:
        """
        Go on with the oldest finished day of the last week that is not audited. None: there is none.

        Stops between pages once `has_time` says no. Raises StoreError.
        """
        now = self._clock.now_ms() // 1000
        for day in days_between(utc_day(now - _DAYS_BACK * DAY_S), utc_day(now)):
            if not self._reconciliation.over(day):
                continue
            report = await self._store.report(day) or DayReport(day)
            if not report.complete:
                return await self._continued(report, has_time)
        return None

    async def report(self, day: str) -> DayReport | None:
        """Return what a day's audit has found so far."""
        return await self._store.report(day)

    async def _continued(self, report: DayReport, has_time: Callable[[], bool]) -> DayReport:
        while not report.complete and has_time():
            ids, after = await self._store.accounts(report.done_to, _ACCOUNTS_A_PAGE)
            page = replace(report, done_to=after, version=report.version + 1)
            for audit in await self._audited(ids, report.day):
                page = page.with_account(audit)
            if after is None:
                page = replace(await self._with_lanes(page), complete=True)
            if not await self._store.advance(page):
                _log.info("the audit of %s is being made by another run", report.day)
                break
            report = page
        return report

    async def _audited(self, ids: Iterable[str], day: str) -> list[AccountAudit]:
        places = asyncio.Semaphore(_ACCOUNTS_AT_ONCE)

        async def one(account_id: str) -> AccountAudit:
            async with places:
                audit = await self._reconciliation.account(account_id, day)
                if audit.sums.entries:
                    # Folds the day, so that usage outlives its entries, and statements are one read.
                    await self._usage.day(account_id, day)
                return audit

        return await asyncio.gather(*map(one, ids))

    async def _with_lanes(self, report: DayReport) -> DayReport:
        checked = [await self._reconciliation.lane(key, due) for key, due in report.lanes.items()]
        found = [difference for one in checked for difference in one.differences]
        return replace(report, windows=report.windows + len(checked)).with_differences(found)

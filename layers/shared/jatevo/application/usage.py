"""
Usage by day, key and model, derived from the ledger.

What is returned is always the sum over all ledger entries there are, found as a stored rollup plus the entries behind
its mark. Reading advances the rollups where that is worth a write; that may be raced, lost or repeated freely, because
an advance is a compare-and-set of the sum and the mark together, and no answer depends on it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import takewhile

from jatevo.application.ports import Clock, Ledger, Rollups, StoreError, WindowStore
from jatevo.domain.accounts import Account, account_window
from jatevo.domain.calendar import DAY_S, day_start_unix_s, days_between, utc_day
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.rollups import TOTAL, Rollup, Tally, Usage, finished, fold_limit, folded, merged

_log = logging.getLogger(__name__)

CLOCK_SKEW_S = 300
"""How far clocks may differ, the way of a request to the store included: AWS takes none that is older."""
_PAGE = 1000
_WORTH_A_WRITE = 100
_DAYS_AT_ONCE = 16

type Tallies = Mapping[Usage, Tally]


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What an account used on a day."""

    day: str
    tallies: Tallies


class UsageReports:
    """Sums the ledger. `longest_s`: how long a reservation can last, from its id to its expiry."""

    def __init__(self, rollups: Rollups, ledger: Ledger, windows: WindowStore, clock: Clock, *, longest_s: int) -> None:
        self._rollups = rollups
        self._ledger = ledger
        self._windows = windows
        self._clock = clock
        self._longest_s = longest_s + CLOCK_SKEW_S

    async def day(self, account_id: str, day: str) -> Tallies:
        """Return what was used on a day."""
        return (await self._of_day(account_id, day, await self._rollups.read(account_id, day))).tallies

    async def total(self, account: Account) -> Tallies:
        """
        Return what was ever used.

        Costs a query for each day since this was last asked or folded; the first of each day folds what was finished.
        """
        stored = await self._rollups.read(account.id, TOTAL)
        total = stored or Rollup(account.id, TOTAL)
        days = await self._of_days(account.id, self._days_behind(account, total))
        over = list(takewhile(lambda day: day.finished, days))
        if over:
            total = replace(
                total, folded_to=over[-1].day, tallies=_sum([total.tallies, *(day.tallies for day in over)])
            )
            await _advance(self._rollups, total, stored)
        return _sum([total.tallies, *(day.tallies for day in days[len(over) :])])

    async def days(self, account: Account, count: int) -> "Sequence[DayUsage]":
        """Return what was used on each of the last `count` days, today last; none before the account was made."""
        now = self._clock.now_ms() // 1000
        first = max(now - (count - 1) * DAY_S, account.created_at_unix_s - CLOCK_SKEW_S)
        found = await self._of_days(account.id, days_between(utc_day(first), utc_day(now)))
        return [DayUsage(day.day, day.tallies) for day in found]

    def _days_behind(self, account: Account, total: Rollup) -> list[str]:
        """Return the days whose entries are not in `total`, oldest first."""
        now = self._clock.now_ms() // 1000
        first = utc_day(max(0, account.created_at_unix_s - CLOCK_SKEW_S))
        if total.folded_to:
            first = utc_day(day_start_unix_s(total.folded_to) + DAY_S)
        return days_between(first, utc_day(now + CLOCK_SKEW_S))

    async def _of_days(self, account_id: str, days: Sequence[str]) -> "list[_Day]":
        if not days:
            return []
        stored = {rollup.period: rollup for rollup in await self._rollups.days(account_id, since=days[0])}
        places = asyncio.Semaphore(_DAYS_AT_ONCE)

        async def one(day: str) -> _Day:
            async with places:
                return await self._of_day(account_id, day, stored.get(day))

        return await asyncio.gather(*map(one, days))

    async def _of_day(self, account_id: str, day: str, stored: Rollup | None) -> "_Day":
        if stored is not None and stored.complete:
            return _Day(day, stored.tallies, finished=True)
        # The window before the entries: what is not open in it any more has its entry among them.
        window = await self._windows.read(account_window(account_id, day))
        limit = fold_limit(self._clock.now_ms(), self._longest_s, window.open if window is not None else ())
        folding = _Folding(self._rollups, stored, stored or Rollup(account_id, day))
        tail: Tallies = {}
        after = folding.rollup.folded_to
        while True:
            page = await self._ledger.entries(account_id, day, after=after or None, limit=_PAGE)
            foldable = [entry for entry in page if entry.reservation_id < limit]
            await folding.add(foldable)
            tail = folded(tail, page[len(foldable) :])
            if len(page) < _PAGE:
                break
            after = page[-1].reservation_id
        await folding.end(complete=finished(day, limit))
        return _Day(day, merged(folding.rollup.tallies, tail), finished=finished(day, limit))


@dataclass(frozen=True, slots=True)
class _Day:
    """What was used on a day; `finished`: nothing will be added."""

    day: str
    tallies: Tallies
    finished: bool


@dataclass(slots=True)
class _Folding:
    """A day's rollup while it is advanced: `rollup` is what it comes to, `stored` what the store has of it."""

    rollups: Rollups
    stored: Rollup | None
    rollup: Rollup
    unsaved: int = field(default=0)
    overtaken: bool = field(default=False)

    async def add(self, entries: Sequence[LedgerEntry]) -> None:
        if not entries:
            return
        tallies = folded(self.rollup.tallies, entries)
        self.rollup = replace(self.rollup, folded_to=entries[-1].reservation_id, tallies=tallies)
        self.unsaved += len(entries)
        if self.unsaved >= _PAGE:
            await self._save()

    async def end(self, *, complete: bool) -> None:
        """Store what is worth it. A day without any entry leaves nothing."""
        if complete and self.rollup.folded_to:
            self.rollup = replace(self.rollup, complete=True)
            await self._save()
        elif self.unsaved >= _WORTH_A_WRITE:
            await self._save()

    async def _save(self) -> None:
        if self.overtaken:
            return
        if await _advance(self.rollups, self.rollup, self.stored):
            self.stored, self.unsaved = self.rollup, 0
        else:
            self.overtaken = True


def _sum(parts: Sequence[Tallies]) -> Tallies:
    return reduce(merged, parts)


async def _advance(rollups: Rollups, rollup: Rollup, stored: Rollup | None) -> bool:
    """Advance a rollup if nobody else did. A failure costs nothing but the next reader's time."""
    try:
        return await rollups.advance(rollup, previous=stored)
    except StoreError:
        _log.warning("the rollup %s of %s was not advanced", rollup.period, rollup.account_id)
        return False

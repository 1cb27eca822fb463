"""
Reconciliation of one account's day: every window that its entries name is recomputed from the ledger.

Exact also while requests are under way: entries are summed, windows read, entries summed again. Where both sums are the
same, nothing was decided in between, and what is decided but still open in a window is left out of what is due there.
An account that never rests is reported as busy, never as wrong.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Protocol

from jatevo.application.ports import Clock, Directory, Ledger, Rollups, WindowStore
from jatevo.application.usage import CLOCK_SKEW_S
from jatevo.domain.accounts import account_window, owning_account
from jatevo.domain.binding import Kind, kind_of, prepaid_window, read_mark
from jatevo.domain.calendar import DAY_S, day_start_unix_s, days_between, period_end_unix_s, utc_day
from jatevo.domain.grants import Grant
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.reconciliation import Difference, Due, differences, due_in, dues
from jatevo.domain.rollups import OTHER, Rollup, Tally, Usage, folded, merged
from jatevo.domain.windows import Window, WindowKey

_PAGE = 1000
_TRIES = 3
_DAYS_AT_ONCE = 8
_BALANCE = "prepaid"
"""The period of the rollup that holds what finished days were paid from an account's balance."""
_OF_BALANCE = Usage("prepaid", OTHER)
_LONGER = frozenset({Kind.MONTH, Kind.PREPAID})


class Decisions(Protocol):
    """Looks single decisions up. Raises StoreError."""

    async def find(self, account_id: str, reservation_id: str) -> LedgerEntry | None:
        """Return the decision about a reservation, if there is one."""
        ...


class GrantBook(Protocol):
    """What was granted to accounts. Raises StoreError."""

    async def grants(self, account_id: str) -> Sequence[Grant]:
        """Return all grants of an account."""
        ...


@dataclass(frozen=True, slots=True)
class Sums:
    """What the ledger has of an account's day."""

    entries: int = 0
    due: Mapping[WindowKey, Due] = field(default_factory=dict)
    tallies: Mapping[Usage, Tally] = field(default_factory=dict)

    def with_entries(self, entries: Sequence[LedgerEntry]) -> "Sums":
        return Sums(self.entries + len(entries), _added(self.due, dues(entries).items()), folded(self.tallies, entries))


@dataclass(frozen=True, slots=True)
class Checked:
    """A window beside what is due in it."""

    key: WindowKey
    window: Window | None
    due: Due
    granted_nano_usd: int | None = None

    @property
    def differences(self) -> list[Difference]:
        return differences(self.key, self.window, self.due, self.granted_nano_usd)


@dataclass(frozen=True, slots=True)
class _Owed:
    """What the ledger says at one moment: sums of the day, what is due in each window, what was granted."""

    sums: Sums = Sums()
    due: Mapping[WindowKey, Due] = field(default_factory=dict)
    granted: int | None = None


@dataclass(frozen=True, slots=True)
class AccountAudit:
    """What the audit of an account's day found. `busy`: its entries changed each time they were looked at."""

    account_id: str
    day: str
    sums: Sums = Sums()
    checked: tuple[Checked, ...] = ()
    busy: bool = False

    @property
    def differences(self) -> list[Difference]:
        return [difference for one in self.checked for difference in one.differences]


class Reconciliation:
    """Recomputes windows. `longest_s`: how long a reservation can last, from its id to its expiry."""

    def __init__(
        self,
        windows: WindowStore,
        ledger: Ledger,
        decisions: Decisions,
        grants: GrantBook,
        rollups: Rollups,
        directory: Directory,
        clock: Clock,
        *,
        longest_s: int,
    ) -> None:
        self._windows = windows
        self._ledger = ledger
        self._decisions = decisions
        self._grants = grants
        self._rollups = rollups
        self._directory = directory
        self._clock = clock
        self._longest_s = longest_s + CLOCK_SKEW_S

    def over(self, day: str) -> bool:
        """Return whether nothing can be reserved any more on a day, whatever the clocks say."""
        return self._now() >= day_start_unix_s(day) + DAY_S + self._longest_s

    async def account(self, account_id: str, day: str) -> AccountAudit:
        """
        Audit an account's day: its day's windows, its month so far, its balance. What it used in lanes is in `sums`.

        Raises StoreError.
        """
        owed = _Owed()
        for _ in range(_TRIES):
            owed = await self._owed(account_id, day)
            checked = await asyncio.gather(*(self._checked(key, due, owed.granted) for key, due in owed.due.items()))
            if self._settled(day, checked) or owed == await self._owed(account_id, day):
                return AccountAudit(account_id, day, owed.sums, tuple(checked))
        return AccountAudit(account_id, day, owed.sums, busy=True)

    async def lane(self, key: WindowKey, due: Due) -> Checked:
        """Hold a lane's window of a finished day against what all accounts used in it."""
        return await self._checked(key, due)

    def _settled(self, day: str, checked: Sequence[Checked]) -> bool:
        """Return whether nothing can have been decided meanwhile that counts in what was read."""
        longer = any(kind_of(one.key) in _LONGER for one in checked)
        return self.over(day) and not longer and all(_quiet(one.window) for one in checked)

    async def _owed(self, account_id: str, day: str) -> "_Owed":
        """Return what the ledger has at this moment, windows of longer periods with their other days."""
        sums = await self._sums(account_id, day)
        due = {key: value for key, value in sums.due.items() if kind_of(key) is not Kind.LANE}
        due.setdefault(account_window(account_id, day), Due())
        for key in [key for key in due if kind_of(key) is Kind.MONTH]:
            due[key] += await self._due_on(account_id, key, [one for one in self._days_of(key.period) if one != day])
        balance = prepaid_window(account_id)
        if balance in due or await self._windows.read(balance) is not None:
            due[balance] = await self._due_in_balance(account_id, balance)
        granted = sum(one.amount_nano_usd for one in await self._grants.grants(account_id)) if balance in due else None
        return _Owed(sums, due, granted)

    def _days_of(self, month: str) -> list[str]:
        end = period_end_unix_s(month)
        assert end is not None, "a month ends"
        return days_between(f"{month}-01", utc_day(min(end - 1, self._now() + CLOCK_SKEW_S)))

    async def _due_in_balance(self, account_id: str, key: WindowKey) -> Due:
        """Return what was ever paid from a balance: finished days are summed once and remembered."""
        stored = await self._rollups.read(account_id, _BALANCE)
        rollup = stored or Rollup(account_id, _BALANCE, await self._day_before_first(account_id))
        first = utc_day(day_start_unix_s(rollup.folded_to) + DAY_S)
        days = days_between(first, utc_day(self._now() + CLOCK_SKEW_S))
        done = await self._finished(account_id, [one for one in days if self.over(one)])
        if done:
            settled = (await self._due_on(account_id, key, done)).settled_nano_usd
            tallies = merged(rollup.tallies, {_OF_BALANCE: Tally(charge_nano_usd=settled)})
            rollup = replace(rollup, folded_to=done[-1], tallies=tallies)
            await self._rollups.advance(rollup, previous=stored)
            days = days[len(done) :]
        remembered = rollup.tallies.get(_OF_BALANCE, Tally()).charge_nano_usd
        return Due(settled_nano_usd=remembered) + await self._due_on(account_id, key, days)

    async def _finished(self, account_id: str, days: Sequence[str]) -> list[str]:
        """Return the first of these days to which nothing is added: what is open in a day may yet get its entry."""
        windows = await asyncio.gather(*(self._windows.read(account_window(account_id, one)) for one in days))
        return [one for one, _ in takewhile(lambda pair: _quiet(pair[1]), zip(days, windows, strict=True))]

    async def _day_before_first(self, account_id: str) -> str:
        account = await self._directory.account(account_id, fresh=True)
        return utc_day(max(0, (0 if account is None else account.created_at_unix_s) - CLOCK_SKEW_S) - DAY_S)

    async def _due_on(self, account_id: str, key: WindowKey, days: Sequence[str]) -> Due:
        places = asyncio.Semaphore(_DAYS_AT_ONCE)

        async def one(day: str) -> Due:
            async with places:
                return (await self._sums(account_id, day)).due.get(key, Due())

        return sum(await asyncio.gather(*map(one, days)), start=Due())

    async def _sums(self, account_id: str, day: str) -> Sums:
        sums, after = Sums(), None
        while True:
            page = await self._ledger.entries(account_id, day, after=after, limit=_PAGE)
            sums = sums.with_entries(page)
            if len(page) < _PAGE:
                return sums
            after = page[-1].reservation_id

    async def _checked(self, key: WindowKey, due: Due, granted: int | None = None) -> Checked:
        window = await self._windows.read(key)
        if window is None:
            return Checked(key, None, due)
        for reservation_id, hold in window.open.items():
            account_id = read_mark(hold.mark).account_id or owning_account(key)
            entry = await self._decisions.find(account_id, reservation_id)
            if entry is not None:
                due -= due_in(entry, key)
        return Checked(key, window, due, granted if kind_of(key) is Kind.PREPAID else None)

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def _added(one: Mapping[WindowKey, Due], other: Iterable[tuple[WindowKey, Due]]) -> dict[WindowKey, Due]:
    result = dict(one)
    for key, due in other:
        result[key] = result.get(key, Due()) + due
    return result


def _quiet(window: Window | None) -> bool:
    return window is None or not window.open

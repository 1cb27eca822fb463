"""
The books as operators read them: windows and ledger entries. Nothing here writes.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import NotThere
from jatevo.application.ports import Clock, Ledger, WindowStore
from jatevo.application.registry import Page, Registry
from jatevo.application.usage import UsageReports
from jatevo.domain.accounts import Account, ApiKey, account_window, key_window, limits_on
from jatevo.domain.binding import minute_window, month_window, prepaid_window
from jatevo.domain.calendar import utc_day, utc_minute
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.rollups import Tally, tally_of
from jatevo.domain.windows import Limits, Window, WindowKey, opened

_PAGE = 1000
_ACCOUNTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account's day came to, by model and by key. `keys`: those of them that were not deleted."""

    account_id: str
    day: str
    by_model: Mapping[str, Tally]
    by_key: Mapping[str, Tally]
    keys: Mapping[str, ApiKey]

    @property
    def total(self) -> Tally:
        return sum(self.by_model.values(), start=Tally())


@dataclass(frozen=True, slots=True)
class AccountDay:
    """What one account came to, among others."""

    account_id: str
    by_model: Mapping[str, Tally]

    @property
    def total(self) -> Tally:
        return sum(self.by_model.values(), start=Tally())


@dataclass(frozen=True, slots=True)
class DayOfAll:
    """What accounts came to on a day, a page of them."""

    day: str
    page: Page[AccountDay]


class Books:
    """Shows what is held and what was decided."""

    def __init__(
        self, registry: Registry, windows: WindowStore, ledger: Ledger, usage: UsageReports, clock: Clock
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._windows = windows
        self._ledger = ledger
        self._clock = clock

    async def window(self, account_id: str, day: str | None = None) -> Window:
        """
        Return an account's window of a day, by default today's.

        Today's is shown as it will open while no request has opened it; with nothing while the account's holdings have
        not given it limits of today, which its first request has them do. Raises NotThere for an account that does not
        exist, and for another day on which nothing was asked; InvalidValue for what is no day.
        """
        account = await self._account(account_id)
        today = utc_day(self._clock.now_ms() // 1000)
        day = today if day is None else bounds.day(day)
        key = account_window(account.id, day)
        window = await self._windows.read(key)
        if window is not None:
            return window
        if day != today:
            raise NotThere(f"The account has no window of {day}: nothing was asked that day.", param="day")
        limits = limits_on(account, day) or Limits(0, 0, account.limits.concurrency)
        return opened(key, limits, account.version)

    async def windows_beside(self, account_id: str, day: str | None = None) -> Sequence[Window]:
        """
        Return the windows that bind an account beside its day's, as they are configured now: the month's, the minute's
        while that day is today, the balance, and those of its capped keys. One that is not open yet has everything
        left. Raises as `window` does.
        """
        account, now = await self._account(account_id), self._clock.now_ms() // 1000
        today = utc_day(now)
        day = today if day is None else bounds.day(day)
        keys = [key for key in await self._registry.keys(account.id) if key.caps is not None and key.enabled]
        wanted: list[tuple[WindowKey, Limits, int]] = []
        if account.monthly is not None:
            wanted.append((month_window(account.id, day[:7]), account.monthly, account.version))
        if account.requests_per_minute is not None and day == today:
            minutely = Limits(requests=account.requests_per_minute)
            wanted.append((minute_window(account.id, utc_minute(now)), minutely, account.version))
        if account.prepaid:
            wanted.append((prepaid_window(account.id), Limits(budget_nano_usd=0), 0))
        wanted += [(key_window(account.id, key.id, day), key.caps or Limits(), key.caps_version) for key in keys]

        async def found(key: WindowKey, limits: Limits, version: int) -> Window:
            return await self._windows.read(key) or opened(key, limits, version)

        return await asyncio.gather(*(found(*one) for one in wanted))

    async def entries(
        self, account_id: str, day: str | None = None, *, after: str | None = None, limit: int = 1000
    ) -> Page[LedgerEntry]:
        """Return an account's ledger entries of a day in the order of their reservations. Raises as `window` does."""
        account = await self._account(account_id)
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        entries = await self._ledger.entries(account.id, day, after=after, limit=limit)
        return Page(entries, entries[-1].reservation_id if len(entries) == limit else None)

    async def statement(self, account_id: str, day: str | None = None) -> Statement:
        """Return the sums of an account's day by model and key, from all of its ledger. Raises as `window` does."""
        account = await self._account(account_id)
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        by_model: defaultdict[str, Tally] = defaultdict(Tally)
        by_key: defaultdict[str, Tally] = defaultdict(Tally)
        after: str | None = None
        while True:
            page = await self._ledger.entries(account.id, day, after=after, limit=_PAGE)
            for entry in page:
                by_model[entry.model] += tally_of(entry)
                by_key[entry.key_id] += tally_of(entry)
            if len(page) < _PAGE:
                keys = {key.id: key for key in await self._registry.keys(account.id)}
                return Statement(account.id, day, by_model, by_key, keys)
            after = page[-1].reservation_id

    async def statements(self, day: str | None = None, *, after: str | None = None, limit: int = 100) -> DayOfAll:
        """
        Return what a page of accounts came to on a day; accounts that asked nothing are left out. Raises as `window`.

        A finished day costs a read for each account, and its entries once.
        """
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        page = await self._registry.accounts(after=after, limit=limit)
        places = asyncio.Semaphore(_ACCOUNTS_AT_ONCE)

        async def one(account: Account) -> AccountDay:
            async with places:
                by_model: defaultdict[str, Tally] = defaultdict(Tally)
                for usage, tally in (await self._usage.day(account.id, day)).items():
                    by_model[usage.model] += tally
                return AccountDay(account.id, by_model)

        found = await asyncio.gather(*map(one, page.entries))
        return DayOfAll(day, Page([one for one in found if one.by_model], page.next))

    def month(self) -> str:
        """Return the month that it is (UTC)."""
        return utc_day(self._clock.now_ms() // 1000)[:7]

    async def _account(self, account_id: str) -> Account:
        account = await self._registry.account(account_id)
        if account is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")
        return account

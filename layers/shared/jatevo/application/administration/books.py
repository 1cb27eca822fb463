"""
The books as operators read them: windows and ledger entries. Nothing here writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import NotThere
from jatevo.application.ports import Clock, Ledger, WindowStore
from jatevo.application.registry import Page, Registry
from jatevo.domain.accounts import Account, account_window, limits_on
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.rollups import Tally, tally_of
from jatevo.domain.windows import Limits, Window, opened

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Statement:
    """What an account's day came to, by model."""

    account_id: str
    day: str
    by_model: Mapping[str, Tally]

    @property
    def total(self) -> Tally:
        return sum(self.by_model.values(), start=Tally())


class Books:
    """Shows what is held and what was decided."""

    def __init__(self, registry: Registry, windows: WindowStore, ledger: Ledger, clock: Clock) -> None:
        self._registry = registry
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

    async def entries(
        self, account_id: str, day: str | None = None, *, after: str | None = None, limit: int = 1000
    ) -> Page[LedgerEntry]:
        """Return an account's ledger entries of a day in the order of their reservations. Raises as `window` does."""
        account = await self._account(account_id)
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        entries = await self._ledger.entries(account.id, day, after=after, limit=limit)
        return Page(entries, entries[-1].reservation_id if len(entries) == limit else None)

    async def statement(self, account_id: str, day: str | None = None) -> Statement:
        """Return the sums of an account's day by model, from every entry of its ledger. Raises as `window` does."""
        account = await self._account(account_id)
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        by_model: dict[str, Tally] = {}
        after: str | None = None
        while True:
            page = await self._ledger.entries(account.id, day, after=after, limit=_PAGE)
            for entry in page:
                by_model[entry.model] = by_model.get(entry.model, Tally()) + tally_of(entry)
            if len(page) < _PAGE:
                return Statement(account.id, day, by_model)
            after = page[-1].reservation_id

    def month(self) -> str:
        """Return the month that it is (UTC)."""
        return utc_day(self._clock.now_ms() // 1000)[:7]

    async def _account(self, account_id: str) -> Account:
        account = await self._registry.account(account_id)
        if account is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")
        return account

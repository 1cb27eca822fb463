"""Both counters of an account as they stand: for the headers and the usage route."""

from jatevo.application.ports import Clock, WindowStore
from jatevo.application.reservations import Renew
from jatevo.domain.accounts import Account, ApiKey, account_window, key_window, limits_on
from jatevo.domain.binding import month_window, prepaid_window
from jatevo.domain.calendar import utc_day, utc_month
from jatevo.domain.windows import Limits, Window, WindowKey, opened


class Counters:
    """Reads day windows. One that is not open yet has everything left."""

    def __init__(self, windows: WindowStore, clock: Clock, renew: Renew | None = None) -> None:
        self._windows = windows
        self._clock = clock
        self._renew = renew

    async def of_account(self, account: Account) -> Window:
        """Return an account's window of today."""
        key = account_window(account.id, utc_day(self._clock.now_ms() // 1000))
        return await self._windows.read(key) or await self._unopened(account, key)

    async def _unopened(self, account: Account, key: WindowKey) -> Window:
        """Return the window that a request would open now."""
        if limits_on(account, key.period) is None and self._renew is not None:
            account = await self._renew(account.id, key.period) or account
        limits = limits_on(account, key.period) or Limits(0, 0, account.limits.concurrency)
        return opened(key, limits, account.version)

    async def of_month(self, account: Account) -> Window | None:
        """Return an account's window of this month; None for one without monthly limits."""
        if account.monthly is None:
            return None
        key = month_window(account.id, utc_month(self._clock.now_ms() // 1000))
        return await self._windows.read(key) or opened(key, account.monthly, account.version)

    async def of_balance(self, account: Account) -> Window | None:
        """Return an account's balance; None for one that was never granted any."""
        return await self._windows.read(prepaid_window(account.id)) if account.prepaid else None

    async def of_key(self, key: ApiKey) -> Window | None:
        """Return a capped key's window of today; None for a key without caps of its own."""
        if key.caps is None:
            return None
        window = key_window(key.account_id, key.id, utc_day(self._clock.now_ms() // 1000))
        return await self._windows.read(window) or opened(window, key.caps, key.caps_version)

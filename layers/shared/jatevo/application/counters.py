"""Both counters of an account as they stand: for the headers and the usage route."""

from jatevo.application.ports import Clock, WindowStore
from jatevo.domain.accounts import Account, ApiKey, account_window, key_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.windows import Window, opened


class Counters:
    """Reads day windows. One that is not open yet has everything left."""

    def __init__(self, windows: WindowStore, clock: Clock) -> None:
        self._windows = windows
        self._clock = clock

    async def of_account(self, account: Account) -> Window:
        """Return an account's window of today."""
        key = account_window(account.id, utc_day(self._clock.now_ms() // 1000))
        return await self._windows.read(key) or opened(key, account.limits, account.version)

    async def of_key(self, key: ApiKey) -> Window | None:
        """Return a capped key's window of today; None for a key without caps of its own."""
        if key.caps is None:
            return None
        window = key_window(key.account_id, key.id, utc_day(self._clock.now_ms() // 1000))
        return await self._windows.read(window) or opened(window, key.caps, key.caps_version)

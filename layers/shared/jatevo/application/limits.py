"""
Changes that reach windows already open: new limits, disabled keys, changed caps.

The order is always: first the account or key itself (whose version grows), then its open windows, by compare-and-set
on the version they carry. A crash in between is mended by the next request, which sees a window behind its account.
"""

from jatevo.application.ports import Clock, WindowStore
from jatevo.domain.accounts import Account, ApiKey, account_window, key_window, limits_on
from jatevo.domain.calendar import utc_day
from jatevo.domain.windows import EVERY_KEY, Limits, WindowKey

CLOCK_SKEW_S = 300
_MANY_BLOCKS = 16


class LimitChanges:
    """Carries changes of accounts and keys into their open windows."""

    def __init__(self, windows: WindowStore, clock: Clock) -> None:
        self._windows = windows
        self._clock = clock

    async def account_changed(self, account: Account) -> None:
        """Move the open day windows of an account to its limits, and stop or admit all its keys."""
        for day in self._open_days():
            key = account_window(account.id, day)
            await self.adjust(key, limits_on(account, day), account.version, stopped=not account.enabled)

    async def key_disabled(self, account: Account, key_ref: str) -> None:
        """Stop a key at once, whatever other processes remember of it."""
        for day in self._open_days():
            key = account_window(account.id, day)
            if await self._windows.block(key, key_ref):
                await self._forget_old_blocks(key, account)

    async def key_caps_changed(self, key: ApiKey) -> None:
        """Move the open day windows of a capped key to its caps. Holds that exist stay as they are."""
        for day in self._open_days():
            await self.adjust(key_window(key.account_id, key.id, day), key.caps or Limits(), key.caps_version)

    async def adjust(self, key: WindowKey, limits: Limits | None, version: int, *, stopped: bool = False) -> None:
        """
        Move a window to `limits` (None: to those it has), and stop or admit all keys, unless it has that version or a
        later one already.
        """
        while True:
            window = await self._windows.read(key)
            if window is None or window.limits_version >= version:
                return
            if await self._windows.adjust(window, limits or window.limits, version, stopped=stopped):
                return

    async def _forget_old_blocks(self, key: WindowKey, account: Account) -> None:
        window = await self._windows.read(key)
        if window is None or len(window.blocked) <= _MANY_BLOCKS:
            return
        old = window.blocked - account.revoked.keys() - {EVERY_KEY}
        if old:
            await self._windows.unblock(key, old)

    def _open_days(self) -> list[str]:
        """The days that a process may take for today, its clock being a little off."""
        now = self._clock.now_ms() // 1000
        return sorted({utc_day(now - CLOCK_SKEW_S), utc_day(now + CLOCK_SKEW_S)})

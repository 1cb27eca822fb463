"""
Changes that reach windows already open: new limits, disabled keys, changed caps; the account's day, month and minute.

The order is always: first the account or key itself (whose version grows), then its open windows, by compare-and-set
on the version they carry. A crash in between is mended by the next request, which sees a window behind its account.
"""

from jatevo.application.ports import Clock, WindowStore
from jatevo.domain.accounts import REVOCATION_MEMORY_S, Account, ApiKey, account_window, key_window, limits_on
from jatevo.domain.binding import Kind, limits_of, minute_window, month_window
from jatevo.domain.calendar import MINUTE_S, utc_day, utc_minute, utc_month
from jatevo.domain.windows import Limits, WindowKey

CLOCK_SKEW_S = 300
_NO_KEY = ApiKey("", "", "", "", "")
_NO_KEYS: frozenset[str] = frozenset()


class LimitChanges:
    """Carries changes of accounts and keys into their open windows."""

    def __init__(self, windows: WindowStore, clock: Clock) -> None:
        self._windows = windows
        self._clock = clock

    async def account_changed(self, account: Account) -> None:
        """Move the open windows of an account to its limits, and stop or admit all its keys."""
        for month in self._open_months() if account.monthly is not None else ():
            limits, version = limits_of(Kind.MONTH, account, _NO_KEY, month)
            await self.adjust(month_window(account.id, month), limits, version)
        for minute in self._open_minutes() if account.requests_per_minute is not None else ():
            limits, version = limits_of(Kind.MINUTE, account, _NO_KEY, minute)
            await self.adjust(minute_window(account.id, minute), limits, version)
        for day in self._open_days():
            await self.adjust(
                account_window(account.id, day),
                limits_on(account, day),
                account.version,
                stopped=not account.enabled,
                blocked=self.revoked_lately(account),
            )

    async def key_disabled(self, account: Account, key_ref: str, *, forgotten: frozenset[str] = _NO_KEYS) -> None:
        """
        Stop a key at once, whatever other processes remember of it.

        `forgotten`: keys disabled so long ago that nobody remembers them any more. Only they are forgotten here: what
        else is blocked may have been disabled by others a moment ago.
        """
        for day in self._open_days():
            key = account_window(account.id, day)
            if await self._windows.block(key, key_ref) and forgotten:
                await self._windows.unblock(key, forgotten)

    async def key_caps_changed(self, key: ApiKey) -> None:
        """Move the open day windows of a capped key to its caps. Holds that exist stay as they are."""
        for day in self._open_days():
            await self.adjust(key_window(key.account_id, key.id, day), key.caps or Limits(), key.caps_version)

    async def adjust(
        self,
        key: WindowKey,
        limits: Limits | None,
        version: int,
        *,
        stopped: bool = False,
        blocked: frozenset[str] = _NO_KEYS,
    ) -> None:
        """
        Move a window to `limits` (None: to those it has), and stop or admit all keys, unless it has that version or a
        later one already. `blocked` are stopped before: a crash may have kept them from it.
        """
        while True:
            window = await self._windows.read(key)
            if window is None or window.limits_version >= version:
                return
            for key_ref in sorted(blocked - window.blocked):
                await self._windows.block(key, key_ref)
            if await self._windows.adjust(window, limits or window.limits, version, stopped=stopped):
                return

    def revoked_lately(self, account: Account) -> frozenset[str]:
        """Return the keys of an account that some process may still take for valid."""
        now = self._clock.now_ms() // 1000
        return frozenset(ref for ref, at in account.revoked.items() if now - at < REVOCATION_MEMORY_S)

    def _open_days(self) -> list[str]:
        """The days that a process may take for today, its clock being a little off."""
        now = self._clock.now_ms() // 1000
        return sorted({utc_day(now - CLOCK_SKEW_S), utc_day(now + CLOCK_SKEW_S)})

    def _open_months(self) -> list[str]:
        now = self._clock.now_ms() // 1000
        return sorted({utc_month(now - CLOCK_SKEW_S), utc_month(now + CLOCK_SKEW_S)})

    def _open_minutes(self) -> list[str]:
        """The minute of now, and those beside it."""
        now = self._clock.now_ms() // 1000
        return [utc_minute(now + beside) for beside in (-MINUTE_S, 0, MINUTE_S)]

"""
Erasing an account: what is known of a person goes, what the books need stays.

Goes: sessions, keys with their names and labels, linked wallets, stored responses and conversations, the account's
name. Stays, under the account's id, which names nobody: windows, ledger, rollups, grants, corrections; and the
operators' trail of changes. So every sum is what it was. A wallet's claim of today stays until the day is over, so that
erasing and signing in anew gives no second budget.

Every step may be repeated, and the whole is: asked for again, it erases what came since.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from jatevo.application.administration.accounts import AccountChange, Accounts
from jatevo.application.administration.keys import Keys
from jatevo.application.administration.problems import Refused
from jatevo.application.ports import Clock, WindowStore
from jatevo.application.sessions import Sessions
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import DAY_S, next_reset_unix_s, utc_day

NAME = "(erased)"
_CLAIMS_KEPT_S = 2 * DAY_S


class PersonalData(Protocol):
    """What is stored of a person outside the books. Raises StoreError."""

    async def forget_wallets(self, account_id: str, gone_at_unix_s: int) -> int:
        """Unlink all wallets of an account, let their items end at that time, and return how many they were."""
        ...

    async def forget_content(self, account_id: str) -> int:
        """Remove stored responses and conversations, and return how many items they were."""
        ...


@dataclass(frozen=True, slots=True)
class Erased:
    """How much went."""

    keys: int
    wallets: int
    stored_items: int


class Erasure:
    """Erases accounts."""

    def __init__(
        self,
        accounts: Accounts,
        keys: Keys,
        sessions: Sessions,
        personal: PersonalData,
        windows: WindowStore,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._sessions = sessions
        self._personal = personal
        self._windows = windows
        self._clock = clock

    async def erase(self, account_id: str) -> Erased:
        """
        Erase an account. It is disabled first, whatever comes of the rest.

        Raises NotThere; Refused while requests of it are under way, whose answers might still be stored.
        """
        await self._accounts.change(account_id, AccountChange(enabled=False, name=NAME))
        await self._check_rest(account_id)
        now = self._clock.now_ms() // 1000
        await self._sessions.end_all(account_id)
        keys = await self._keys.of_account(account_id)
        for key in keys:
            await self._keys.delete(key.id)
        wallets = await self._personal.forget_wallets(account_id, next_reset_unix_s(now) + _CLAIMS_KEPT_S)
        return Erased(len(keys), wallets, await self._personal.forget_content(account_id))

    async def _check_rest(self, account_id: str) -> None:
        now = self._clock.now_ms() // 1000
        days = [account_window(account_id, utc_day(at)) for at in (now - DAY_S, now)]
        for window in await asyncio.gather(*map(self._windows.read, days)):
            if window is not None and window.open:
                raise Refused(
                    "The account is disabled; requests of it are still under way. Erase it again when they end."
                )

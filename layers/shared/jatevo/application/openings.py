"""
Openings: windows come into being when the first request needs them, and follow their account, key or lane.

A window is opened only with what is in force: the write depends on the account's version, and a key's on its caps'. A
window that is behind is brought up to date by the next request that sees it. A balance is opened by its first grant.
"""

import contextlib
import logging
from collections.abc import Iterable
from typing import Protocol

from jatevo.application.limits import LimitChanges
from jatevo.application.ports import Clock, Conflict, Directory, StoreError, StoreUnavailable, WindowStore
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.domain.accounts import Account, Caller, limits_on
from jatevo.domain.binding import Binding, Kind, limits_of
from jatevo.domain.windows import EVERY_KEY, Limits, Window, opened

_log = logging.getLogger(__name__)

_OF_LANES = frozenset({Kind.SLOTS, Kind.LANE})
_AS_SAID_ONCE = frozenset({Kind.PREPAID, Kind.VISITOR})
"""Their limits follow nothing."""


class Renew(Protocol):
    """
    Gives an account whose limits come from holdings those of a day, and returns it as it then is.

    Reservations without one never open a window for such an account.
    """

    async def __call__(self, account_id: str, day: str) -> Account | None: ...


class Openings:
    """Opens windows, and moves those that are behind, for one gateway process."""

    def __init__(
        self, windows: WindowStore, directory: Directory, clock: Clock, memory: RefusalMemory, renew: Renew | None
    ) -> None:
        self._windows = windows
        self._directory = directory
        self._clock = clock
        self._memory = memory
        self._renew = renew
        self._limits = LimitChanges(windows, clock)

    async def open_all(self, bindings: Iterable[Binding], caller: Caller) -> None:
        """Open all windows that bind a request: one alone would only find the next one missing."""
        for binding in bindings:
            if binding.kind in _OF_LANES:
                await self._open_of_lane(binding)
            elif binding.kind is not Kind.PREPAID:
                await self._open(binding, caller)

    async def caught_up(self, binding: Binding, window: Window, caller: Caller) -> bool:
        """Bring a window that is behind its account, key or lane up to date. Return whether it was behind."""
        if binding.kind in _AS_SAID_ONCE or window.limits_version >= binding.version:
            return False
        account, stopped, blocked = caller.account, False, frozenset[str]()
        if binding.kind is Kind.ACCOUNT:
            stopped, blocked = not account.enabled, self._limits.revoked_lately(account)
        await self._limits.adjust(window.key, binding.limits, binding.version, stopped=stopped, blocked=blocked)
        self._memory.forget(window.key)
        return True

    async def mend(self, taken: Iterable[tuple[Binding, Window]], caller: Caller) -> None:
        """Bring windows that took a hold up to date, where a crash left them behind. The hold stands either way."""
        for binding, window in taken:
            try:
                await self.caught_up(binding, window, caller)
            except StoreError:
                _log.warning("the window %s %s stays behind for now", window.key.owner, window.key.period)

    async def _open_of_lane(self, binding: Binding) -> None:
        assert binding.limits is not None, "the catalogue says what a lane has"
        with contextlib.suppress(StoreUnavailable):
            await self._windows.open(opened(binding.key, binding.limits, binding.version), None)

    async def _open(self, binding: Binding, caller: Caller) -> None:
        """
        Open a window with what its account and key say now.

        When they changed meanwhile, or others are opening it too, nothing is done: the next attempt looks again. So it
        is when the account has limits of another day only: those of a later one, by a clock ahead of this.
        """
        account = await self._account(binding, caller.account.id)
        digest, blocked, api_key = None, frozenset[str](), caller.key
        limits: Limits | None
        if binding.kind is Kind.VISITOR:
            limits, version = binding.limits, binding.version
        else:
            if binding.kind is Kind.KEY:
                digest = caller.key.digest
                api_key = await self._directory.key(digest, fresh=True) or caller.key
            limits, version = limits_of(binding.kind, account, api_key, binding.key.period)
        if limits is None:
            return
        if binding.kind is Kind.ACCOUNT:
            blocked = self._limits.revoked_lately(account) | (frozenset() if account.enabled else {EVERY_KEY})
        with contextlib.suppress(Conflict, StoreUnavailable):
            window = opened(binding.key, limits, version, blocked)
            await self._windows.open(window, account.version, key_digest=digest)

    async def _account(self, binding: Binding, account_id: str) -> Account:
        """Return the account as it is in force; for its day's window, with that day's limits if it can have them."""
        account = await self._directory.account(account_id, fresh=True)
        if binding.kind is Kind.ACCOUNT and account is not None and self._renew is not None:
            day = binding.key.period
            if limits_on(account, day) is None:
                account = await self._renew(account.id, day)
        if account is None:
            raise StoreUnavailable("the account has gone")
        return account

"""
Looking again at what wallets hold, and letting entitlements follow.

Selling lowers today's limits at the next look; what was bought counts from the next snapshot. It may run at any time,
at once with itself, and for one account or all that are active. What a chain does not answer is left as it was.

Accounts are done in batches, each whole, from one drawn by chance on. A run that has no more time, or is ended by it,
has served some, and however many there are, nobody is always among those it never got to.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from jatevo.application.entitlements import Entitlements
from jatevo.application.holdings import ChainUnavailable, Claims, EntitledAccounts, HoldingsStore, Readers, in_batches
from jatevo.application.ports import Clock, Randomness, StoreError
from jatevo.domain.accounts import Account
from jatevo.domain.calendar import utc_day
from jatevo.domain.holdings import Snapshot
from jatevo.domain.wallets import Namespace, Wallet

_log = logging.getLogger(__name__)
_ACCOUNTS_AT_ONCE = 50
"""A batch is begun while there is time, and takes some seconds."""
_WALLETS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """
    What a run did. `unread`: wallets that their chain did not tell about; `failed`: accounts left as they were; `left`:
    accounts that there was no time for.
    """

    accounts: int = 0
    wallets: int = 0
    unread: int = 0
    failed: int = 0
    left: int = 0

    def __add__(self, other: "RefreshReport") -> "RefreshReport":
        return RefreshReport(
            self.accounts + other.accounts,
            self.wallets + other.wallets,
            self.unread + other.unread,
            self.failed + other.failed,
            self.left + other.left,
        )


class HoldingsRefresh:
    """Re-reads wallets and renews entitlements."""

    def __init__(
        self,
        readers: Readers,
        claims: Claims,
        store: HoldingsStore,
        accounts: EntitledAccounts,
        entitlements: Entitlements,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._readers = readers
        self._claims = claims
        self._store = store
        self._accounts = accounts
        self._entitlements = entitlements
        self._clock = clock
        self._randomness = randomness

    async def run(self, *, patience_s: float | None = None) -> RefreshReport:
        """
        Look at the wallets of every account that got limits for today, and renew those limits. With `patience_s`
        nothing more is begun after that time.
        """
        began_ms, day = self._clock.now_ms(), self._today()
        account_ids = [account_id async for account_id in self._accounts.entitled_on(day)]
        first = self._randomness.bits(64) % max(1, len(account_ids))
        report = RefreshReport()
        for batch in in_batches(account_ids[first:] + account_ids[:first], _ACCOUNTS_AT_ONCE):
            spent = patience_s is not None and self._clock.now_ms() - began_ms >= patience_s * 1000
            report += RefreshReport(left=len(batch)) if spent else await self._refresh(batch, day)
        return report

    async def account(self, account_id: str) -> Account | None:
        """Do so for one account, and return it as it then is. Raises StoreError."""
        day = self._today()
        await self._look(await self._claims.of_account(account_id), day)
        return await self._entitlements.renew(account_id, day, afresh=True)

    async def linked(self, account_id: str, wallet: Wallet) -> None:
        """Count a wallet that was just linked, so that its owner sees a budget at once. Raises StoreError."""
        day = self._today()
        # First by what is stored, so that a chain that answers late, or never, takes nothing from what is known.
        await self._entitlements.renew(account_id, day, afresh=True, also=(wallet,))
        await self._look([wallet], day)
        await self._entitlements.renew(account_id, day, afresh=True, also=(wallet,))

    async def _refresh(self, account_ids: list[str], day: str) -> RefreshReport:
        wallets, failed = dict[Wallet, None](), 0
        for account_id in account_ids:
            try:
                wallets |= dict.fromkeys(await self._claims.of_account(account_id))
            except StoreError:
                _log.warning("the wallets of %s cannot be listed", account_id)
        unread = await self._look(wallets, day)
        for account_id in account_ids:
            try:
                await self._entitlements.renew(account_id, day, afresh=True)
            except StoreError as error:
                _log.warning("the entitlement of %s stays as it is: %s", account_id, error)
                failed += 1
        return RefreshReport(len(account_ids), len(wallets), unread, failed)

    async def _look(self, wallets: Iterable[Wallet], day: str) -> int:
        """Remember what wallets hold now, and in the day's snapshot where that is missing. Return how many failed."""
        snapshot = await self._entitlements.snapshot(day)
        by_namespace: dict[Namespace, list[Wallet]] = {}
        for wallet in wallets:
            by_namespace.setdefault(wallet.namespace, []).append(wallet)
        unread = 0
        for namespace, mine in by_namespace.items():
            for batch in in_batches(mine if namespace in self._readers else [], _WALLETS_AT_ONCE):
                try:
                    await self._look_at(namespace, batch, snapshot)
                except ChainUnavailable as error:
                    _log.warning("%d wallets of %s stay as they were seen last: %s", len(batch), namespace, error)
                    unread += len(batch)
        return unread

    async def _look_at(self, namespace: Namespace, wallets: list[Wallet], snapshot: Snapshot | None) -> None:
        reader = self._readers[namespace]
        reading = await reader.now(wallets)
        for wallet, units in reading.units.items():
            await self._claims.saw(wallet, units, reading.moment.unix_s)
        read = None if snapshot is None else snapshot.tokens.get(namespace)
        if snapshot is None or read is None or read.everybody or read.token != reader.token:
            return
        unknown = [wallet for wallet in wallets if await self._store.units(snapshot, wallet) is None]
        if unknown:
            for wallet, units in (await reader.at(unknown, read.moment)).units.items():
                await self._store.add_late(snapshot, wallet, units)

    def _today(self) -> str:
        return utc_day(self._clock.now_ms() // 1000)

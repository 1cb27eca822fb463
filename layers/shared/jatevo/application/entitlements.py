"""
Entitlements: the limits that an account's holdings earn on a day, computed and stored as the account's.

Guarantees, whatever races: a day counts by one snapshot, the one pinned first; a wallet counts for one account a day,
the one that claimed it first; an account's limits are never moved to an earlier day; limits are stored only over the
version they were computed from, so a computation from older facts never replaces one from newer ones. Reads and writes
the store only, never a chain, so the request path may use it.
"""

import logging
from dataclasses import dataclass, replace

from jatevo.application.holdings import Claim, Claims, EntitledAccounts, HoldingsStore
from jatevo.application.limits import LimitChanges
from jatevo.application.ports import Clock, StoreUnavailable
from jatevo.application.prices import Prices
from jatevo.domain.accounts import Account, LimitsFrom
from jatevo.domain.entitlement import Earned, EntitlementPolicy, Holding, Why, earned
from jatevo.domain.holdings import Snapshot
from jatevo.domain.oracle import Quote
from jatevo.domain.wallets import Wallet

_log = logging.getLogger(__name__)
_MOST_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What an account is entitled to on a day, and all that it follows from. `snapshot` None: there is none to use."""

    day: str
    snapshot: Snapshot | None
    quote: Quote
    holdings: tuple[Holding, ...]
    earned: Earned


class Entitlements:
    """Computes and stores entitlements. `policy` as in `domain.entitlement`."""

    def __init__(
        self,
        accounts: EntitledAccounts,
        claims: Claims,
        store: HoldingsStore,
        prices: Prices,
        limits: LimitChanges,
        clock: Clock,
        policy: EntitlementPolicy,
    ) -> None:
        self._accounts = accounts
        self._claims = claims
        self._store = store
        self._prices = prices
        self._limits = limits
        self._clock = clock
        self.policy = policy

    async def renew(
        self, account_id: str, day: str, *, afresh: bool = False, also: tuple[Wallet, ...] = ()
    ) -> Account | None:
        """
        Give an account the limits of a day, unless it has them, and move its open window of that day along.

        `afresh`: compute them anew even so. `also` as in `of`. An account that has those of a later day, or an
        operator's, is returned as it is. Raises StoreError.
        """
        for _ in range(_MOST_ATTEMPTS):
            # Read before anything it is entitled by: whoever changes that later also writes the account later.
            account = await self._accounts.account(account_id)
            if account is None or account.limits_from is not LimitsFrom.HOLDINGS:
                return account
            has = account.entitled_day or ""
            if has > day or (has == day and not afresh):
                return account
            renewed = await self._computed(account, day, also)
            if renewed == account or await self._accounts.entitle(renewed):
                await self._limits.account_changed(renewed)
                return renewed
        raise StoreUnavailable(f"the account {account_id} is being changed by others")

    async def of(self, account_id: str, day: str, *, also: tuple[Wallet, ...] = ()) -> Entitlement:
        """
        Return what an account's holdings earn on a day, claiming its wallets for that day.

        `also`: wallets of its that the list of them may not show yet.
        """
        snapshot = await self.snapshot(day)
        wallets = dict.fromkeys((*await self._claims.of_account(account_id), *also))
        found = [await self._holding(wallet, account_id, day, snapshot) for wallet in wallets]
        holdings = tuple(holding for holding in found if holding is not None)
        quote = await self._prices.quote(self._clock.now_ms() // 1000)
        gained = earned(self.policy, holdings, quote.price_pico_usd)
        if snapshot is None:
            gained = replace(gained, why=(gained.why | {Why.NO_SNAPSHOT}) - {Why.NOT_IN_SNAPSHOT})
        if quote.held_back:
            gained = replace(gained, why=gained.why | {Why.PRICE_HELD_BACK})
        return Entitlement(day, snapshot, quote, holdings, gained)

    async def snapshot(self, day: str) -> Snapshot | None:
        """Return the snapshot that a day counts by, pinning the latest one when none is; None: none, or too old."""
        snapshot = await self._store.pinned(day)
        if snapshot is None:
            latest = await self._store.latest()
            if latest is None or not latest.counts_on(day):
                return None
            snapshot = await self._store.pin(day, latest)
        return snapshot if snapshot.counts_on(day) else None

    async def _computed(self, account: Account, day: str, also: tuple[Wallet, ...]) -> Account:
        """
        Return the account with the limits of a day, as its next version; the same when nothing differs.

        Without a price nothing new is given, and what was given for this day stays.
        """
        entitlement = await self.of(account.id, day, also=also)
        if entitlement.quote.price_pico_usd is None and account.entitled_day == day:
            return account
        gained = entitlement.earned
        limits = replace(account.limits, requests=gained.requests, budget_nano_usd=gained.budget_nano_usd)
        if (limits, day) == (account.limits, account.entitled_day):
            return account
        return replace(account, limits=limits, entitled_day=day, version=account.version + 1)

    async def _holding(self, wallet: Wallet, account_id: str, day: str, snapshot: Snapshot | None) -> Holding | None:
        claim = await self._claims.claim(wallet, account_id, day)
        if claim is None or claim.account_id != account_id:
            return None
        token = None if snapshot is None else snapshot.tokens.get(wallet.namespace)
        if snapshot is None or token is None:
            claimed = claim.belongs_to(account_id, day)
            return Holding(wallet, 0, None, None, claimed=claimed, has_token=snapshot is None)
        return Holding(
            wallet,
            token.decimals,
            await self._store.units(snapshot, wallet),
            _seen_since(claim, token.moment.unix_s),
            claimed=claim.belongs_to(account_id, day),
        )


def _seen_since(claim: Claim, unix_s: int) -> int | None:
    # Several blocks may share a second. One that was seen just before the snapshot can only lower what counts, and the
    # next look puts that right.
    return claim.seen_units if claim.seen_at_unix_s >= unix_s else None

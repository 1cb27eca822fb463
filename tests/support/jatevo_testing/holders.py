"""
Token holders over a real engine: accounts with wallets, snapshots put by hand, a price that a test sets.

What reads chains has tests of its own; here a snapshot is what a test says it is.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from jatevo.adapters.dynamodb.claims import DynamoClaims
from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.directory import DynamoDirectory
from jatevo.adapters.dynamodb.entitled import DynamoEntitled
from jatevo.adapters.dynamodb.holdings import DynamoHoldings
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.dynamodb.wallets import DynamoWallets
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.entitlements import Entitlements
from jatevo.application.limits import LimitChanges
from jatevo.application.ports import Clock
from jatevo.domain.accounts import Account, LimitsFrom, account_window
from jatevo.domain.calendar import iso_instant, utc_day
from jatevo.domain.entitlement import EntitlementPolicy
from jatevo.domain.holdings import Moment, Snapshot, Token, TokenSnapshot, part_of
from jatevo.domain.market import MarketState
from jatevo.domain.oracle import Basis, Quote
from jatevo.domain.wallets import Namespace, Wallet, base58_encoded
from jatevo.domain.windows import Limits, Window
from jatevo_local.engine import REGION
from jatevo_testing.clocks import ManualClock

DECIMALS = 6
TOKEN_UNITS = 10**DECIMALS
DOLLAR_PICO = 10**12
MINT = Token(Namespace.SOLANA, "", base58_encoded(b"mint".ljust(32, b"\x01")))


@dataclass
class Price:
    """A price that a test sets."""

    price_pico_usd: int | None = DOLLAR_PICO
    in_force_pico_usd: int | None = None

    async def quote(self, now_unix_s: int) -> Quote:
        return Quote(self.price_pico_usd, MarketState.OK, Basis.MARKET, now_unix_s, self.in_force_pico_usd)


@dataclass
class Holders:
    """Everything that entitlements need."""

    clock: ManualClock
    client: DynamoClient
    names: TableNames
    policy: EntitlementPolicy = field(default_factory=EntitlementPolicy)
    price: Price = field(default_factory=Price)

    def __post_init__(self) -> None:
        self.store = DynamoHoldings(self.client, self.names, self.clock, retention_s=10**6)
        self.claims = DynamoClaims(self.client, self.names)
        self.accounts = DynamoEntitled(self.client, self.names)
        self.wallets = DynamoWallets(self.client, self.names)
        self.windows = DynamoWindows(self.client, self.names)
        self.directory = DynamoDirectory(self.client, self.names, self.clock, keep_ms=0)
        self.limits = LimitChanges(self.windows, self.clock)
        self.entitlements = self.process()

    def process(self, clock: Clock | None = None) -> Entitlements:
        """Return what another process would have: nothing that it remembers, perhaps a clock of its own."""
        clock, store = clock or self.clock, self.process_store()
        limits = LimitChanges(self.windows, clock)
        return Entitlements(self.accounts, self.claims, store, self.price, limits, clock, self.policy)

    def process_store(self) -> DynamoHoldings:
        """Return the store as another process has it, that remembers nothing."""
        return DynamoHoldings(self.client, self.names, self.clock, retention_s=10**6)

    @property
    def now_unix_s(self) -> int:
        return self.clock.now_ms() // 1000

    @property
    def today(self) -> str:
        return utc_day(self.now_unix_s)

    async def account(self, number: int, *wallets: Wallet) -> str:
        """Create an account whose limits come from holdings, and link wallets to it."""
        name = f"acct_{number:012}"
        account = Account(name, "holder", Limits(0, 0, 64), limits_from=LimitsFrom.HOLDINGS)
        assert await self.wallets.create_account(account, wallets[0])
        for wallet in wallets[1:]:
            assert await self.wallets.link(wallet, name, self.now_unix_s)
        return name

    async def snapshot(self, units: Mapping[Wallet, int], *, parts: int = 2) -> Snapshot:
        """Store a complete snapshot of all holders, taken now."""
        name, moment = iso_instant(self.now_unix_s), Moment(self.now_unix_s, self.now_unix_s)
        read = TokenSnapshot(MINT, moment, DECIMALS, everybody=True, attempt="a", parts=parts, holders=len(units))
        for part in range(parts):
            mine = {wallet: amount for wallet, amount in units.items() if part_of(wallet, parts, "a") == part}
            await self.store.put_part(name, "a", part, mine)
        return await self.store.complete(Snapshot(name, self.now_unix_s, {Namespace.SOLANA: read}))

    async def limits_of(self, account_id: str, day: str | None = None) -> tuple[int, int]:
        """Return the requests and whole cents a day that renewing gives."""
        account = await self.entitlements.renew(account_id, day or self.today, afresh=True)
        assert account is not None
        return account.limits.requests, account.limits.budget_nano_usd // 10**7

    async def window(self, account_id: str) -> Window | None:
        return await self.windows.read(account_window(account_id, self.today))


def solana_wallet(number: int) -> Wallet:
    """Return the wallet whose public key stands for a number."""
    return Wallet(Namespace.SOLANA, base58_encoded(b"\x07" * 28 + number.to_bytes(4)))


@asynccontextmanager
async def holders_on(endpoint_url: str, names: TableNames) -> AsyncIterator[Holders]:
    client = DynamoClient(ClientOptions(REGION, endpoint_url))
    yield Holders(ManualClock(), client, names)
    client.close()

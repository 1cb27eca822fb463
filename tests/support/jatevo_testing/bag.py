"""
One bag of tokens, many wallets, many accounts, and everybody who wants more than one budget for it.

A seeded drive over real parts: transfers on the chain, wallets linked and unlinked, snapshots on schedule and by hand,
refreshes, requests through processes whose clocks differ. What it watches is the only thing that counts: how much of
one day's money was accepted in all.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.holdings import BalanceReader
from jatevo.application.holdings_refresh import HoldingsRefresh
from jatevo.application.ports import StoreError
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.application.reservations import Policy, Reservation, Reservations, Wanted
from jatevo.application.snapshots import Snapshots
from jatevo.domain.accounts import ApiKey, Caller
from jatevo.domain.entitlement import EntitlementPolicy
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.wallets import Wallet
from jatevo_local.engine import REGION
from jatevo_testing.clocks import ManualClock, SeededRandomness
from jatevo_testing.holders import Holders, Price
from jatevo_testing.simulation.processes import SkewedClock
from jatevo_testing.simulation.strands import MODEL

AMOUNT = 100
"""What each request is projected to cost, in nano-dollars."""
WHOLE = 12
"""How many requests the whole bag pays for in a day."""
_ACCOUNTS = 6
_POLICY = EntitlementPolicy(minimum_nano_usd=0, requests_per_1000_usd=10**12, account_cap_requests=10**9)


class Bag:
    """The drive. `move` and `holding` are the chain's; `accepted` counts requests by day."""

    def __init__(self, holders: Holders, reader: BalanceReader, wallets: Sequence[Wallet], seed: int) -> None:
        self.holders = holders
        self.chance = random.Random(seed)
        self.wallets = list(wallets)
        self.accounts: list[str] = []
        self.accepted: Counter[str] = Counter()
        readers = {reader.token.namespace: reader}
        self.snapshots = Snapshots(
            readers, holders.process_store(), holders.claims, holders.clock, SeededRandomness(seed)
        )
        self.refresh = HoldingsRefresh(
            readers,
            holders.claims,
            holders.store,
            holders.accounts,
            holders.entitlements,
            holders.clock,
            SeededRandomness(seed),
        )
        self.processes = [self._process(number) for number in range(3)]

    def _process(self, number: int) -> Reservations:
        holders = self.holders
        clock = SkewedClock(holders.clock, self.chance.choice([0, 0, -200_000, 200_000, 4000]))
        ledger = DynamoLedger(holders.client, holders.names)
        policy = Policy(upstream_deadline_s=60, grace_s=30, margin_bps=0)
        renew = holders.process(clock).renew
        return Reservations(
            holders.windows,
            ledger,
            holders.directory,
            clock,
            SeededRandomness(self.chance.randrange(10**9) + number),
            policy,
            RefusalMemory(),
            renew,
        )

    async def set_up(self) -> None:
        """Every account keeps its first wallet; the others float."""
        for number in range(_ACCOUNTS):
            self.accounts.append(await self.holders.account(number, self.wallets[number]))

    async def request(self, account_id: str, process: Reservations | None = None) -> bool:
        """Ask for one request's worth."""
        process = process or self.chance.choice(self.processes)
        account = await self.holders.directory.account(account_id)
        assert account is not None
        caller = Caller(ApiKey(f"key_{account_id[-10:]}", f"d{account_id}", account_id, "", ""), account)
        wanted = Wanted(caller, MODEL, 1, Ask(InputSize(), output_cap=90, exact_input_tokens=10))
        with suppress(StoreError):
            result = await process.reserve(wanted)
            if isinstance(result, Reservation):
                assert result.terms.reserved_nano_usd == AMOUNT
                self.accepted[result.holds[-1][0].period] += 1
                return True
        return False

    async def flip_link(self) -> None:
        """Link a floating wallet to some account, or unlink it."""
        wallet, account = self.chance.choice(self.wallets[_ACCOUNTS:]), self.chance.choice(self.accounts)
        stored = await self.holders.wallets.wallet(wallet)
        if stored is not None and stored.account_id is not None:
            anchor = self.wallets[self.accounts.index(stored.account_id)]
            await self.holders.wallets.unlink(wallet, stored.account_id, staying=anchor)
            if self.chance.random() < 0.5:
                return
        if await self.holders.wallets.link(wallet, account, self.holders.now_unix_s):
            await self.refresh.linked(account, wallet)


@asynccontextmanager
async def bag_on(endpoint_url: str, names: TableNames, clock: ManualClock) -> AsyncIterator[Holders]:
    """Yield holders for whom the whole bag is worth WHOLE requests a day."""
    client = DynamoClient(ClientOptions(REGION, endpoint_url))
    price = Price(AMOUNT * 1000)  # a whole token pays for one request
    yield Holders(clock, client, names, policy=_POLICY, price=price)
    client.close()

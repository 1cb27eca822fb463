"""
One bag of tokens, moved between wallets, and wallets that are moved between accounts.

However it goes, what is accepted in one day for all who live of the bag is never more than the bag is worth: it is the
one thing that is looked at, and it needs no rule of the gateway to be known.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from jatevo.adapters.dynamodb.wallets import DynamoWallets
from jatevo.application.holdings import BalanceReader, ChainUnavailable
from jatevo.application.ports import StoreError
from jatevo.application.snapshots import SnapshotFailed
from jatevo.domain.holdings import Moment, Reading, Token
from jatevo.domain.wallets import Wallet
from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import DECIMALS, MINT, TOKEN_UNITS, Price, solana_wallet
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.lambdas import Lambda
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.simulation.wire import WiredClient

TOKENS = 6
TOKEN_NANO_USD = 1000
WORTH_NANO_USD = TOKENS * TOKEN_NANO_USD
PRICE = Price(TOKEN_NANO_USD * 1000)
_WALLETS = 8


class Chain(BalanceReader):
    """The token's chain: who holds what now, where it can be read at all."""

    def __init__(self, chance: Chance, clock: ManualClock) -> None:
        self._chance = chance
        self._clock = clock
        self.wallets = [solana_wallet(number) for number in range(_WALLETS)]
        self.units = dict.fromkeys(self.wallets, 0)
        for wallet in self.wallets[:3]:
            self.units[wallet] = TOKENS * TOKEN_UNITS // 4
        self.units[self.wallets[3]] = TOKENS * TOKEN_UNITS - sum(self.units.values())

    @property
    def token(self) -> Token:
        return MINT

    @property
    def reads_everybody(self) -> bool:
        return True

    async def everybody(self) -> Reading:
        return await self._read(self.wallets)

    async def moment(self) -> Moment:
        return Moment(self._clock.now_ms() // 1000, self._clock.now_ms() // 1000)

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        return await self._read(wallets)

    async def at(self, wallets: Sequence[Wallet], moment: Moment) -> Reading:
        raise AssertionError("this chain knows no past")

    def transfer(self) -> None:
        """Somebody sends somebody some or all."""
        sender = self._chance.choice([wallet for wallet in self.wallets if self.units[wallet]])
        receiver = self._chance.choice(self.wallets)
        amount = self._chance.choice((self.units[sender], 1 + self.units[sender] // 2))
        amount = min(amount, self.units[sender])
        self.units[sender] -= amount
        self.units[receiver] += amount

    async def _read(self, wallets: Sequence[Wallet]) -> Reading:
        await asyncio.sleep(self._chance.choice((0, 0.2, 3)))
        if self._chance.happens(0.1):
            raise ChainUnavailable("no node answers")
        moment = await self.moment()
        return Reading(moment, DECIMALS, {wallet: self.units[wallet] for wallet in wallets if self.units[wallet]})


class Holders:
    """Accounts that live of the bag, and what is done with their wallets."""

    def __init__(self, engine: Engine, client: WiredClient, chance: Chance, chain: Chain, accounts: list[str]) -> None:
        self._chance = chance
        self._chain = chain
        self._accounts = accounts
        self._wallets = DynamoWallets(client, engine.names)
        for account_id, wallet in zip(accounts, chain.wallets, strict=False):
            link = {"wallet": {"S": str(wallet)}, "account_id": {"S": account_id}, "linked_at": {"N": "1"}}
            engine.calls.put_item(TableName=engine.names.wallets, Item=link)

    def change(self, process: Lambda) -> tuple[str, Coroutine[Any, Any, None]]:
        """Return one thing that is done, by name."""
        name, work = self._chance.weighed(
            [
                (("snapshot", process.snapshots.run), 2),
                (("snapshot now", process.snapshots.take_now), 1),
                (("refresh", process.refresh.run), 3),
                (("move a wallet", lambda: self._move(process)), 4),
            ]
        )
        return name, self._done(work)

    async def _done(self, work: Any) -> None:
        with suppress(StoreError, SnapshotFailed, ChainUnavailable):
            await work()

    async def _move(self, process: Lambda) -> None:
        """Unlink a wallet that is not an account's first, and link it to some other account."""
        floating = self._chain.wallets[len(self._accounts) :]
        wallet, account_id = self._chance.choice(floating), self._chance.choice(self._accounts)
        stored = await self._wallets.wallet(wallet)
        if stored is not None and stored.account_id is not None:
            anchor = self._chain.wallets[self._accounts.index(stored.account_id)]
            await self._wallets.unlink(wallet, stored.account_id, staying=anchor)
            if self._chance.happens(0.3):
                return
        if await self._wallets.link(wallet, account_id, process.gateway.clock.now_ms() // 1000):
            await process.refresh.linked(account_id, wallet)

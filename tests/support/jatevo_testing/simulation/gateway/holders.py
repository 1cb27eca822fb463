"""
One bag of tokens, moved between wallets, and wallets that are moved between accounts, while its price moves, too.

However it goes, what is accepted in one day for all who live of the bag is never more than the bag was worth at the
day's best price: it needs no rule of the gateway to be known. And once all wallets have been looked at, nobody is given
more than what theirs hold at the price in force.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from jatevo.adapters.dynamodb.wallets import DynamoWallets
from jatevo.application.administration.problems import AdministrationError
from jatevo.application.holdings import BalanceReader, ChainUnavailable
from jatevo.application.ports import StoreError
from jatevo.application.snapshots import SnapshotFailed
from jatevo.domain.holdings import Moment, Reading, Token
from jatevo.domain.wallets import Wallet
from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import DECIMALS, MINT, TOKEN_UNITS, solana_wallet
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.lambdas import Lambda
from jatevo_testing.simulation.gateway.token_prices import DAY_S, TOKENS, TokenPrices, worth_nano_usd
from jatevo_testing.simulation.images import Item, number
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.simulation.wire import WiredClient

HOUR_S = 3600
_RATES = ("0.0000005", "0.000001", "0.0000011", "0.000003")
"""In dollars for a token, as operators say them."""
_WALLETS = 8


class Chain(BalanceReader):
    """The token's chain: who holds what now, where it can be read at all."""

    def __init__(self, chance: Chance, clock: ManualClock) -> None:
        self._chance = chance
        self._clock = clock
        self.answers = False
        """Whether its node answers each time."""
        self.wallets = [solana_wallet(number) for number in range(_WALLETS)]
        self.units = dict.fromkeys(self.wallets, TOKENS * TOKEN_UNITS // _WALLETS)
        self.peak_units = {str(wallet): units for wallet, units in self.units.items()}

    @property
    def token(self) -> Token:
        return MINT

    @property
    def reads_everybody(self) -> bool:
        return True

    async def everybody(self) -> Reading:
        reading = await self._read(self.wallets)
        return replace(reading, units={wallet: units for wallet, units in reading.units.items() if units})

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
        self.peak_units[str(receiver)] = max(self.peak_units[str(receiver)], self.units[receiver])

    async def _read(self, wallets: Sequence[Wallet]) -> Reading:
        await asyncio.sleep(self._chance.choice((0, 0.2, 3)))
        if not self.answers and self._chance.happens(0.1):
            raise ChainUnavailable("no node answers")
        moment = await self.moment()
        return Reading(moment, DECIMALS, {wallet: self.units[wallet] for wallet in wallets})


class Holders:
    """Accounts that live of the bag, and what is done with their wallets."""

    def __init__(self, engine: Engine, client: WiredClient, chance: Chance, chain: Chain, accounts: list[str]) -> None:
        self._chance = chance
        self._chain = chain
        self._accounts = accounts
        self._engine = engine
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
                (("price", lambda: self._price(process)), 0.5),
                (("oracle", process.price_updates.run), 2),
            ]
        )
        return name, self._done(work)

    async def _done(self, work: Any) -> None:
        with suppress(StoreError, SnapshotFailed, ChainUnavailable, AdministrationError):
            await work()

    async def check_followed(self, process: Lambda, token_prices: TokenPrices) -> None:
        """All wallets are looked at once more; then nobody is given more than what theirs hold is worth now."""
        self._chain.answers = True
        await process.refresh.run()
        now_ms = process.gateway.clock.now_ms()
        price = token_prices.now(now_ms // 1000)
        if price is None:
            return
        today = datetime.fromtimestamp(now_ms // 1000, UTC).date().isoformat()
        held = self._held()
        for account_id in self._accounts:
            account = self._read(self._engine.names.accounts, {"account_id": {"S": account_id}})
            if "entitled_day" in account and account["entitled_day"]["S"] == today:
                given, worth = number(account, "budget_nano_usd_per_day"), worth_nano_usd(held[account_id], price)
                assert given <= worth, f"{account_id} is given {given}, and what its wallets hold is worth {worth}"

    def _held(self) -> Counter[str]:
        """Return what the wallets of each account hold."""
        held = Counter[str]()
        for wallet in self._chain.wallets:
            stored = self._read(self._engine.names.wallets, {"wallet": {"S": str(wallet)}})
            if "account_id" in stored:
                held[stored["account_id"]["S"]] += self._chain.units[wallet]
        return held

    def _read(self, table: str, key: Item) -> Item:
        item: Item = self._engine.calls.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
        return item

    async def _price(self, process: Lambda) -> None:
        """An operator puts a price in force for some time, or takes it back."""
        prices, now_unix_s = process.administration.prices, process.gateway.clock.now_ms() // 1000
        if self._chance.happens(0.4):
            await prices.clear_rate("test", "operator")
            return
        ends = now_unix_s + self._chance.choice((7 * DAY_S, 2 * DAY_S, HOUR_S))
        await prices.set_rate(self._chance.choice(_RATES), ends, "test", "operator")

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

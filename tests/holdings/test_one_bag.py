"""One bag of tokens is one budget a day, through however many wallets, accounts and processes it goes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from jatevo_testing.bag import WHOLE, Bag, bag_on
from jatevo_testing.chain import TestChain, evm_wallet
from jatevo_testing.clocks import ManualClock
from jatevo_testing.effort import seeds
from jatevo_testing.holders import Holders, solana_wallet
from jatevo_testing.solana import SolanaStandIn, solana_node

from jatevo.adapters.chains.evm import EvmReader
from jatevo.adapters.chains.solana import SolanaReader
from jatevo.adapters.dynamodb.claims import DynamoClaims
from jatevo.adapters.dynamodb.holdings import DynamoHoldings
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application import limits, openings, reservations
from jatevo.domain import binding
from jatevo.domain.accounts import Account
from jatevo.domain.calendar import day_start_unix_s
from jatevo.domain.holdings import Snapshot, Token
from jatevo.domain.wallets import Namespace, Wallet

WALLETS = 24
STEPS = 130
TOKEN = 10**6
DAY_S = 86_400

type Move = Callable[[Wallet, Wallet, int], None]
type Balance = Callable[[Wallet], int]


@pytest.fixture
async def holders(dynoxide: str, tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Holders]:
    monkeypatch.setattr(reservations, "_pause_s", lambda _: 0.0)
    async with bag_on(dynoxide, tables, ManualClock()) as made:
        made.clock.at_ms = (day_start_unix_s(made.today) + DAY_S - 7200) * 1000
        yield made


@contextmanager
def on_solana(holders: Holders, seed: int) -> Iterator[tuple[Bag, SolanaStandIn]]:
    with solana_node(SolanaStandIn(time=lambda: holders.now_unix_s)) as node:
        wallets = [solana_wallet(number) for number in range(WALLETS)]
        node.hold(wallets[0], WHOLE * TOKEN)
        yield Bag(holders, SolanaReader(node.token, lambda: [node.url], holders.clock), wallets, seed), node


async def driven(bag: Bag, move: Move, balance: Balance) -> None:
    """Do anything, in any order, over some two days."""
    await bag.set_up()
    await bag.snapshots.take_now()
    actions: list[Callable[[], Awaitable[object]]] = [
        lambda: bag.request(bag.chance.choice(bag.accounts)),
        bag.flip_link,
        bag.refresh.run,
        bag.snapshots.take_now,
    ]
    for _ in range(STEPS):
        sender, receiver = bag.chance.choice(bag.wallets), bag.chance.choice(bag.wallets)
        held = [wallet for wallet in bag.wallets if balance(wallet)]
        sender = bag.chance.choice(held)
        move(sender, receiver, bag.chance.choice([balance(sender), bag.chance.randint(1, balance(sender))]))
        [action] = bag.chance.choices(actions, weights=[10, 4, 2, 1])
        await action()
        bag.holders.clock.advance(bag.chance.choice([1, 60, 600, 2400]))
        await bag.snapshots.run()
    assert sum(bag.accepted.values()) > 0


@pytest.mark.parametrize("seed", seeds(3))
async def test_one_bag_through_24_wallets_is_one_budget_a_day_on_solana(holders: Holders, seed: int) -> None:
    with on_solana(holders, seed) as (bag, node):
        await driven(bag, node.transfer, node.balance)
    assert max(bag.accepted.values()) <= WHOLE, bag.accepted


async def test_one_bag_through_24_wallets_is_one_budget_a_day_on_an_evm_chain(
    holders: Holders, chain: TestChain
) -> None:
    wallets = [evm_wallet(1000 + number) for number in range(WALLETS)]
    token = chain.token(decimals=6)
    token.mint(wallets[0], WHOLE * TOKEN)
    where = Token(Namespace.EIP155, str(chain.chain_id), token.address.lower())
    reader = EvmReader(where, lambda: [chain.url], holders.clock, confirmations=0, lag_s=0)
    bag = Bag(holders, reader, wallets, seed=1)

    def move(sender: Wallet, receiver: Wallet, amount: int) -> None:
        token.transfer(sender, receiver, amount)

    await driven(bag, move, token.balance)
    assert max(bag.accepted.values()) <= WHOLE, bag.accepted


async def run_after_a_bag(holders: Holders) -> Bag:
    """Link the wallet that has the bag, spend, move the bag on, link that wallet, and so through all 24."""
    with on_solana(holders, 7) as (bag, node):
        await bag.set_up()
        await bag.snapshots.take_now()
        for number in range(WALLETS):
            wallet, account = bag.wallets[number], bag.accounts[number % len(bag.accounts)]
            if number >= len(bag.accounts):
                await holders.wallets.link(wallet, account, holders.now_unix_s)
                await bag.refresh.linked(account, wallet)
            await bag.refresh.account(account)
            for _ in range(WHOLE + 1):
                await bag.request(account, bag.processes[0])
            if number + 1 < WALLETS:
                node.transfer(wallet, bag.wallets[number + 1], WHOLE * TOKEN)
            holders.clock.advance(30)
            await bag.snapshots.take_now()
        return bag


async def passed_on_overnight(holders: Holders) -> Bag:
    """Spend today, hand the bag to somebody else before midnight, and ask again tomorrow, both."""
    with on_solana(holders, 7) as (bag, node):
        await bag.set_up()
        await bag.snapshots.take_now()
        first, second = bag.accounts[:2]
        await bag.refresh.account(first)
        await bag.request(first, bag.processes[0])
        node.transfer(bag.wallets[0], bag.wallets[1], WHOLE * TOKEN)
        holders.clock.advance(7200 - 120)
        await bag.snapshots.run()
        holders.clock.advance(600)
        for _ in range(WHOLE + 1):
            await bag.request(first, bag.processes[0])
        await bag.refresh.account(second)
        for _ in range(WHOLE + 1):
            await bag.request(second, bag.processes[0])
        return bag


async def linked_anew(holders: Holders) -> Bag:
    """Spend a wallet's budget, unlink it, link it to the next account, and spend again."""
    with on_solana(holders, 7) as (bag, node):
        await bag.set_up()
        rich = bag.wallets[-1]
        node.transfer(bag.wallets[0], rich, WHOLE * TOKEN)
        await bag.snapshots.take_now()
        for account, anchor in zip(bag.accounts, bag.wallets, strict=False):
            assert await holders.wallets.link(rich, account, holders.now_unix_s)
            await bag.refresh.linked(account, rich)
            for _ in range(WHOLE + 1):
                await bag.request(account, bag.processes[0])
            assert await holders.wallets.unlink(rich, account, staying=anchor)
        return bag


SCHEMES = {
    "run after a bag": run_after_a_bag,
    "passed on overnight": passed_on_overnight,
    "linked anew": linked_anew,
}


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
async def test_no_scheme_gets_a_second_budget_for_one_bag(
    holders: Holders, scheme: Callable[[Holders], Awaitable[Bag]]
) -> None:
    accepted = (await scheme(holders)).accepted
    assert max(accepted.values()) == WHOLE, accepted


def stale_entitlement(patch: pytest.MonkeyPatch) -> None:
    """Open and move windows with whatever limits the account has."""

    def anyway(account: Account, _day: str) -> object:
        return account.limits

    for module in (openings, limits, binding):
        patch.setattr(module, "limits_on", anyway)


def nothing_pinned(patch: pytest.MonkeyPatch) -> None:
    """Count by the latest snapshot, whichever that is."""

    async def none(_store: DynamoHoldings, _day: str) -> None:
        return None

    async def latest(_store: DynamoHoldings, _day: str, snapshot: Snapshot) -> Snapshot:
        return snapshot

    patch.setattr(DynamoHoldings, "pinned", none)
    patch.setattr(DynamoHoldings, "pin", latest)


def claims_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Forget who claimed a wallet when it is linked anew."""
    claim = DynamoClaims.claim

    async def forgetful(claims: DynamoClaims, wallet: Wallet, account_id: str, day: str) -> object:
        await claims._client.retried(
            "update_item",
            TableName=claims._table,
            Key={"wallet": {"S": str(wallet)}},
            UpdateExpression="REMOVE #day",
            ExpressionAttributeNames={"#day": "claimed_day"},
        )
        return await claim(claims, wallet, account_id, day)

    patch.setattr(DynamoClaims, "claim", forgetful)


BUGS = {
    "run after a bag": nothing_pinned,
    "passed on overnight": stale_entitlement,
    "linked anew": claims_forgotten,
}


@pytest.mark.parametrize("name", BUGS)
async def test_each_scheme_catches_the_bug_it_is_made_for(
    holders: Holders, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    BUGS[name](monkeypatch)
    accepted = (await SCHEMES[name](holders)).accepted
    assert max(accepted.values()) > WHOLE, accepted

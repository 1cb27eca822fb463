"""Looking again: what left counts less at once, what came counts tomorrow, and what no chain tells stays as it was."""

from collections.abc import Iterator, Sequence

import pytest
from jatevo_testing.chain import TestChain, evm_wallet
from jatevo_testing.clocks import ManualClock, SeededRandomness
from jatevo_testing.holders import DOLLAR_PICO, TOKEN_UNITS, Holders, solana_wallet
from jatevo_testing.solana import SolanaStandIn, solana_node

from jatevo.adapters.chains.evm import EvmReader
from jatevo.adapters.chains.solana import SolanaReader
from jatevo.adapters.wire.budget_report import budget_report
from jatevo.application import holdings_refresh
from jatevo.application.counters import Counters
from jatevo.application.holdings import BalanceReader
from jatevo.application.holdings_refresh import HoldingsRefresh, RefreshReport
from jatevo.application.self_service.budgets import Budgets
from jatevo.application.snapshots import Snapshots
from jatevo.domain.entitlement import EntitlementPolicy, Why
from jatevo.domain.holdings import Reading, Token
from jatevo.domain.wallets import Namespace, Wallet

ALICE, BOB = solana_wallet(1), solana_wallet(2)


@pytest.fixture
def node(holders: Holders) -> Iterator[SolanaStandIn]:
    with solana_node(SolanaStandIn(time=lambda: holders.now_unix_s)) as served:
        served.hold(ALICE, 11 * TOKEN_UNITS)
        yield served


def refreshing(holders: Holders, reader: BalanceReader, *, seed: int = 1) -> HoldingsRefresh:
    return HoldingsRefresh(
        {reader.token.namespace: reader},
        holders.claims,
        holders.store,
        holders.accounts,
        holders.entitlements,
        holders.clock,
        SeededRandomness(seed),
    )


def snapshots(holders: Holders, reader: BalanceReader) -> Snapshots:
    return Snapshots(
        {reader.token.namespace: reader}, holders.store, holders.claims, holders.clock, SeededRandomness(1)
    )


def on_solana(holders: Holders, node: SolanaStandIn) -> SolanaReader:
    return SolanaReader(node.token, lambda: [node.url], holders.clock)


class TimeIsUp(BaseException):
    """Lambda ends a run that takes too long, wherever it is."""


class ShortLived(SolanaReader):
    """Reads balances once, and then its time is up."""

    asked = 0

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        self.asked += 1
        if self.asked > 1:
            raise TimeIsUp
        return await super().now(wallets)


class Slow(SolanaReader):
    """Takes its time for every question."""

    passes_s = 0

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        assert isinstance(self._clock, ManualClock)
        self._clock.advance(self.passes_s)
        return await super().now(wallets)


async def limits(holders: Holders, account_id: str) -> int:
    account = await holders.accounts.account(account_id)
    assert account is not None
    return account.limits.requests


async def test_selling_counts_at_the_next_look_and_buying_does_not(holders: Holders, node: SolanaStandIn) -> None:
    reader = on_solana(holders, node)
    await snapshots(holders, reader).take_now()
    account, refresh = await holders.account(1, ALICE), refreshing(holders, reader)
    await refresh.linked(account, ALICE)
    assert await limits(holders, account) == 11
    holders.clock.advance(60)
    node.transfer(ALICE, BOB, 8 * TOKEN_UNITS)
    assert await refresh.run() == RefreshReport(accounts=1, wallets=1)
    assert await limits(holders, account) == 3
    holders.clock.advance(60)
    node.transfer(BOB, ALICE, 8 * TOKEN_UNITS)
    node.hold(BOB, 100 * TOKEN_UNITS)
    node.transfer(BOB, ALICE, 100 * TOKEN_UNITS)
    await refresh.run()
    assert await limits(holders, account) == 11


async def test_a_chain_that_does_not_answer_leaves_limits_as_they_are(holders: Holders, node: SolanaStandIn) -> None:
    reader = on_solana(holders, node)
    await snapshots(holders, reader).take_now()
    account, refresh = await holders.account(1, ALICE), refreshing(holders, reader)
    node.lies.append(lambda _method, _result: None)
    await refresh.linked(account, ALICE)
    assert await limits(holders, account) == 11
    assert await refresh.run() == RefreshReport(accounts=1, wallets=1, unread=1)
    assert await limits(holders, account) == 11


async def test_a_wallet_linked_after_the_snapshot_counts_what_it_held_at_its_block(
    holders: Holders, chain: TestChain
) -> None:
    token, early, late = chain.token(decimals=6), evm_wallet(501), evm_wallet(502)
    token.mint(early, 11 * TOKEN_UNITS)
    where = Token(Namespace.EIP155, str(chain.chain_id), token.address.lower())
    reader = EvmReader(where, lambda: [chain.url], holders.clock, confirmations=0, lag_s=0)
    await snapshots(holders, reader).take_now()
    token.transfer(early, late, 4 * TOKEN_UNITS)
    refresh = refreshing(holders, reader)
    accounts = [await holders.account(number, wallet) for number, wallet in enumerate((early, late))]
    for account, wallet in zip(accounts, (early, late), strict=True):
        await refresh.linked(account, wallet)
    assert [await limits(holders, account) for account in accounts] == [7, 0]


async def test_only_accounts_of_today_are_looked_at(holders: Holders, node: SolanaStandIn) -> None:
    reader = on_solana(holders, node)
    await snapshots(holders, reader).take_now()
    await holders.account(1, ALICE)
    assert await refreshing(holders, reader).run() == RefreshReport()


@pytest.fixture
async def sellers(holders: Holders, node: SolanaStandIn, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Six accounts that got limits for today, whose wallets have sold since; they are done two at once."""
    monkeypatch.setattr(holdings_refresh, "_ACCOUNTS_AT_ONCE", 2)
    reader, wallets = on_solana(holders, node), [solana_wallet(number) for number in range(10, 16)]
    for wallet in wallets:
        node.hold(wallet, 11 * TOKEN_UNITS)
    await snapshots(holders, reader).take_now()
    accounts = [await holders.account(number, wallet) for number, wallet in enumerate(wallets, start=10)]
    for account in accounts:
        await refreshing(holders, reader).account(account)
    holders.clock.advance(60)
    for wallet in wallets:
        node.transfer(wallet, BOB, 8 * TOKEN_UNITS)
    return accounts


async def lowered(holders: Holders, accounts: Sequence[str]) -> int:
    return [await limits(holders, account) for account in accounts].count(3)


async def test_runs_that_are_ended_by_their_time_get_to_everybody_in_the_end(
    holders: Holders, node: SolanaStandIn, sellers: list[str]
) -> None:
    served = []
    for seed in range(12):
        with pytest.raises(TimeIsUp):
            await refreshing(holders, ShortLived(node.token, lambda: [node.url], holders.clock), seed=seed).run()
        served.append(await lowered(holders, sellers))
    assert served[0] == 2
    assert served[-1] == len(sellers)


async def test_a_run_begins_nothing_more_when_its_time_is_over_and_says_what_is_left(
    holders: Holders, node: SolanaStandIn, sellers: list[str]
) -> None:
    slow = Slow(node.token, lambda: [node.url], holders.clock)
    slow.passes_s = 10
    report = await refreshing(holders, slow).run(patience_s=15)
    assert report == RefreshReport(accounts=4, wallets=4, left=2)
    assert await lowered(holders, sellers) == 4


async def test_a_budget_explains_itself(holders: Holders, node: SolanaStandIn) -> None:
    reader = on_solana(holders, node)
    await snapshots(holders, reader).take_now()
    account_id = await holders.account(1, ALICE, BOB)
    holders.clock.advance(60)
    node.hold(BOB, 5 * TOKEN_UNITS)
    await refreshing(holders, reader).account(account_id)
    account = await holders.accounts.account(account_id)
    assert account is not None
    budgets = Budgets(holders.entitlements, Counters(holders.windows, holders.clock), holders.clock)

    report = budget_report(await budgets.today(account))

    assert report["limits"] == {"requests_per_day": 11, "budget_usd_per_day": "11.00", "concurrency": 64}
    assert report["today"]["requests_remaining"] == 11
    entitlement = report["entitlement"]
    assert entitlement["explanation"].startswith("11 + 0 tokens × $1.00 = $11.00")
    assert entitlement["snapshot"]["tokens"][0]["token"] == str(node.token)
    assert entitlement["price"]["usd"] == "1.00"
    assert {wallet["wallet"]: wallet["why"] for wallet in entitlement["wallets"]} == {
        str(ALICE): [],
        str(BOB): ["bought_since"],
    }
    assert [why["code"] for why in entitlement["why"]] == ["bought_since"]


async def test_a_budget_says_what_would_raise_it_whatever_bounds_it(holders: Holders, node: SolanaStandIn) -> None:
    reader = on_solana(holders, node)
    await snapshots(holders, reader).take_now()
    account_id = await holders.account(1, ALICE)
    budgets = Budgets(holders.entitlements, Counters(holders.windows, holders.clock), holders.clock)

    async def reasons() -> dict[str, str]:
        account = await holders.accounts.account(account_id)
        assert account is not None
        why = budget_report(await budgets.today(account))["entitlement"]["why"]
        return {reason["code"]: reason["message"] for reason in why}

    assert "next snapshot" in (await reasons())["holdings"]
    holders.price.in_force_pico_usd = 2 * DOLLAR_PICO
    assert (await reasons()).keys() == {"price_held_back"}
    holders.price.in_force_pico_usd = None
    assert await holders.wallets.link(evm_wallet(1), account_id, holders.now_unix_s)
    assert (await reasons()).keys() == {"other_chain"}, "there is a token on Solana only"


async def test_the_starter_allowance_is_off_unless_it_is_set(holders: Holders) -> None:
    account = await holders.account(1, ALICE)
    await holders.snapshot({})
    assert await holders.limits_of(account) == (0, 0)
    holders.policy = EntitlementPolicy(starter_requests=3, starter_nano_usd=10**9)
    generous = holders.process()
    renewed = await generous.renew(account, holders.today, afresh=True)
    assert renewed is not None
    assert (renewed.limits.requests, renewed.limits.budget_nano_usd) == (3, 10**9)
    assert Why.STARTER in (await generous.of(account, holders.today)).earned.why

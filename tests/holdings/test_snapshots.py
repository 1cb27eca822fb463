"""A snapshot is taken once a day at a drawn moment, is complete or not used, and is the same whoever takes it."""

import asyncio
from collections.abc import Iterator

import pytest
from jatevo_testing.chain import TestChain, evm_wallet
from jatevo_testing.clocks import ManualClock, SeededRandomness
from jatevo_testing.holders import Holders, solana_wallet
from jatevo_testing.solana import SolanaStandIn, solana_node

from jatevo.adapters.chains.evm import EvmReader
from jatevo.adapters.chains.solana import SolanaReader
from jatevo.application import snapshots as snapshots_module
from jatevo.application.holdings import BalanceReader
from jatevo.application.snapshots import SnapshotFailed, Snapshots
from jatevo.domain.calendar import day_start_unix_s, iso_instant, utc_day
from jatevo.domain.holdings import Token, part_of
from jatevo.domain.wallets import Namespace

ALICE, BOB = solana_wallet(1), solana_wallet(2)
DAY_S = 86_400


@pytest.fixture
def node(holders: Holders) -> Iterator[SolanaStandIn]:
    with solana_node(SolanaStandIn(time=lambda: holders.now_unix_s)) as served:
        served.hold(ALICE, 70)
        served.hold(BOB, 30)
        yield served


def on_solana(holders: Holders, node: SolanaStandIn) -> SolanaReader:
    return SolanaReader(node.token, lambda: [node.url], holders.clock)


def taking(holders: Holders, *readers: BalanceReader, seed: int = 1) -> Snapshots:
    by_namespace = {reader.token.namespace: reader for reader in readers}
    store = holders.process_store()
    return Snapshots(by_namespace, store, holders.claims, holders.clock, SeededRandomness(seed))


def go_to(clock: ManualClock, day: str, seconds: int) -> None:
    clock.at_ms = (day_start_unix_s(day) + seconds) * 1000


async def test_the_moment_is_drawn_once_in_the_quarter_hour_before_midnight(
    holders: Holders, node: SolanaStandIn
) -> None:
    day = holders.today
    go_to(holders.clock, day, DAY_S - 900)
    drawn = {str((await taking(holders, on_solana(holders, node), seed=seed).run()).snapshot_id) for seed in range(5)}
    assert len(drawn) == 1
    assert f"{day}T23:45:00Z" <= min(drawn) < f"{day}T23:57:00Z"
    assert await holders.store.latest() is None
    go_to(holders.clock, day, DAY_S - 60)
    report = await taking(holders, on_solana(holders, node)).run()
    assert {report.snapshot_id} == drawn
    assert not report.waiting
    found = await holders.store.latest()
    assert found is not None
    assert [await holders.store.units(found, wallet) for wallet in (ALICE, BOB, solana_wallet(3))] == [70, 30, 0]


async def test_moments_of_many_days_differ(holders: Holders, node: SolanaStandIn) -> None:
    taker, seen = taking(holders, on_solana(holders, node)), set()
    for _ in range(12):
        go_to(holders.clock, holders.today, DAY_S - 900)
        seen.add(str((await taker.run()).snapshot_id)[10:])
        holders.clock.advance(DAY_S)
    assert len(seen) > 8


async def test_one_that_failed_before_midnight_is_taken_after_it(holders: Holders, node: SolanaStandIn) -> None:
    day = holders.today
    go_to(holders.clock, day, DAY_S - 1)
    node.lies.append(lambda method, result: None)
    with pytest.raises(SnapshotFailed):
        await taking(holders, on_solana(holders, node)).run()
    assert await holders.store.latest() is None
    node.lies.clear()
    holders.clock.advance(61)
    await taking(holders, on_solana(holders, node)).run()
    found = await holders.store.latest()
    assert found is not None
    assert found.id.startswith(day)


async def test_racing_snapshots_give_one_result(
    holders: Holders, node: SolanaStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each racer reads another distribution of the bag; all of them end with the same snapshot."""
    monkeypatch.setattr(snapshots_module, "_MOST_IN_PART", 1)
    lock = asyncio.Lock()

    async def race(number: int) -> str | None:
        async with lock:
            node.transfer(ALICE, BOB, number)
        return (await taking(holders, on_solana(holders, node), seed=number).take_now()).snapshot_id

    assert len(set(await asyncio.gather(*(race(number) for number in range(6))))) == 1
    found = await holders.process_store().latest()
    assert found is not None
    held = [await holders.process_store().units(found, wallet) for wallet in (ALICE, BOB)]
    assert None not in held
    assert sum(filter(None, held)) == 100


async def test_racing_snapshots_of_linked_wallets_give_one_result(
    holders: Holders, chain: TestChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each finds a later block, a further wallet and the bag elsewhere; all end with one snapshot of one block."""
    monkeypatch.setattr(snapshots_module, "_MOST_IN_PART", 1)
    token, wallets = chain.token(), [evm_wallet(number) for number in range(60, 66)]
    token.mint(wallets[0], 100)
    where = Token(Namespace.EIP155, str(chain.chain_id), token.address.lower())
    reader = EvmReader(where, lambda: [chain.url], holders.clock, confirmations=0, lag_s=0)
    await holders.account(0, wallets[0])

    async def race(number: int) -> object:
        await holders.account(number, wallets[number])
        token.transfer(next(filter(token.balance, wallets)), wallets[number], 100)
        await taking(holders, reader, seed=number).take_now()
        return await holders.process_store().latest()

    found = await asyncio.gather(*(race(number) for number in range(1, len(wallets))))
    assert len({str(snapshot) for snapshot in found}) == 1
    latest = await holders.store.latest()
    assert latest is not None
    read = latest.tokens[Namespace.EIP155]
    held = {wallet: await holders.store.units(latest, wallet) for wallet in wallets}
    late = (await reader.at([wallet for wallet in wallets if held[wallet] is None], read.moment)).units
    counted = [late[wallet] if amount is None else amount for wallet, amount in held.items()]
    assert sorted(counted) == [0] * 5 + [100]


async def test_a_crash_in_the_middle_resumes_at_the_same_block(
    holders: Holders, chain: TestChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots_module, "_MOST_IN_PART", 1)
    token, wallets = chain.token(), [evm_wallet(number) for number in range(1, 6)]
    for number, wallet in enumerate(wallets):
        token.mint(wallet, 100)
        await holders.account(number, wallet)
    where = Token(Namespace.EIP155, str(chain.chain_id), token.address.lower())
    reader = EvmReader(where, lambda: [chain.url], holders.clock, confirmations=0, lag_s=0)
    snapshots = taking(holders, reader)
    put = snapshots._store.put_part
    parts: list[object] = []

    async def dies(*arguments: object) -> None:
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(arguments)
        await put(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshots._store, "put_part", dies)
    with pytest.raises(KeyboardInterrupt):
        await snapshots.take_now()
    assert await holders.store.latest() is None
    for wallet in wallets:
        token.transfer(wallet, evm_wallet(99), 100)
    again = taking(holders, reader)
    written: list[object] = []
    real = again._store.put_part

    async def counted(*arguments: object) -> None:
        written.append(arguments)
        await real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(again._store, "put_part", counted)
    await again.take_now()
    assert len(written) == 3
    found = await holders.store.latest()
    assert found is not None
    assert [await holders.store.units(found, wallet) for wallet in wallets] == [100] * 5
    assert await holders.store.units(found, evm_wallet(99)) is None


async def test_readings_too_far_apart_are_not_used(holders: Holders, node: SolanaStandIn, chain: TestChain) -> None:
    token = chain.token()
    where = Token(Namespace.EIP155, str(chain.chain_id), token.address.lower())
    reader = EvmReader(where, lambda: [chain.url], holders.clock, confirmations=0, lag_s=0)
    node.time = lambda: 5
    slow = SolanaReader(node.token, lambda: [node.url], holders.clock, lag_s=0)
    with pytest.raises(SnapshotFailed, match="apart"):
        await taking(holders, reader, slow).take_now()
    assert await holders.store.latest() is None


async def test_without_a_token_nothing_is_taken(holders: Holders) -> None:
    with pytest.raises(SnapshotFailed, match="no token"):
        await taking(holders).take_now()


async def test_a_snapshot_taken_by_hand_moves_no_day_that_counts_by_another(
    holders: Holders, node: SolanaStandIn
) -> None:
    taker = taking(holders, on_solana(holders, node))
    await taker.take_now()
    first = await holders.entitlements.snapshot(holders.today)
    node.transfer(ALICE, BOB, 70)
    holders.clock.advance(60)
    await taker.take_now()
    assert await holders.entitlements.snapshot(holders.today) == first
    latest = await holders.entitlements.snapshot(utc_day(holders.now_unix_s + DAY_S))
    assert latest is not None
    assert latest.id == iso_instant(holders.now_unix_s)


async def test_no_choice_of_wallets_crowds_one_part() -> None:
    crowd = [solana_wallet(number) for number in range(4000)]
    crowded = [wallet for wallet in crowd if part_of(wallet, 4, "one run") == 0]
    elsewhere = [part_of(wallet, 4, "another run") for wallet in crowded]
    assert max(elsewhere.count(part) for part in range(4)) < len(crowded) / 3

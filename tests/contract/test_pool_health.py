"""What processes share about pools, and the audit trail, on a real engine: each change of state has one winner."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.tables import fresh_tables

from jatevo.adapters.dynamodb.audit import DynamoAudit
from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.health import DynamoHealth
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.audit import Change
from jatevo.application.audit import State as AuditState
from jatevo.application.health import Health
from jatevo.domain.breaker import Breaker, Rules, State
from jatevo.domain.routing import Standing
from jatevo_local.engine import REGION

RULES = Rules(failures=3, cooldown_ms=5_000, longest_ms=60_000, probe_ms=10_000)


@pytest.fixture(scope="module", params=["dynoxide", "extenddb"])
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[DynamoClient, TableNames]]:
    endpoint: str = request.getfixturevalue(request.param)
    with fresh_tables(endpoint) as names:
        client = DynamoClient(ClientOptions(REGION, endpoint))
        yield client, names
        client.close()


@pytest.fixture
def store(engine: tuple[DynamoClient, TableNames]) -> DynamoHealth:
    return DynamoHealth(*engine)


def processes(store: DynamoHealth, clock: ManualClock, count: int) -> list[Health]:
    return [Health(store, clock, RULES, keep_ms=0) for _ in range(count)]


async def trip(health: Health, pool: str) -> None:
    for account in "abc":
        await health.failed(pool, account, probe=False, blameless=False)


async def test_what_is_stored_is_read_back_and_drains_leave_breakers_alone(store: DynamoHealth) -> None:
    breaker = Breaker().tripped(1_000, RULES)
    assert await store.advance("stored", breaker, now_ms=1_000)
    await store.drain("stored", "ada", now_unix_s=7)
    read = (await store.read()).pools["stored"]
    assert (read.breaker, read.drained_by, read.drained_at_unix_s) == (breaker, "ada", 7)
    assert read.changed_at_unix_s == 1
    await store.drain("stored", None, now_unix_s=8)
    assert (await store.read()).pools["stored"].drained_by is None
    assert (await store.read()).pools["stored"].breaker == breaker


async def test_a_pool_that_fails_in_one_process_is_spared_by_all(store: DynamoHealth) -> None:
    clock = ManualClock(1_000_000)
    first, second = processes(store, clock, 2)
    await trip(first, "spared")
    await second.refresh()
    assert second.standing("spared", "anybody")[0] is Standing.COOLING


async def test_of_many_processes_one_probes_and_its_answer_is_news_to_all(store: DynamoHealth) -> None:
    clock = ManualClock(2_000_000)
    several = processes(store, clock, 8)
    await trip(several[0], "probed")
    clock.advance(5.001)
    for health in several:
        await health.refresh()
    asked = await asyncio.gather(*(health.may_ask("probed", "a new account") for health in several))
    assert sorted(asked) == [(False, False)] * 7 + [(True, True)]
    prober = several[asked.index((True, True))]
    await prober.answered("probed", "a new account", probe=True)
    for health in several:
        await health.refresh()
        assert health.standing("probed", "a new account")[0] is Standing.WELL


async def test_a_probe_that_never_comes_back_is_taken_over(store: DynamoHealth) -> None:
    clock = ManualClock(3_000_000)
    first, second = processes(store, clock, 2)
    await trip(first, "lost")
    clock.advance(5.001)
    assert await first.may_ask("lost", "x") == (True, True)
    await second.refresh()
    assert await second.may_ask("lost", "x") == (False, False)
    clock.advance(10.001)
    assert await second.may_ask("lost", "x") == (True, True)


async def test_a_failed_probe_waits_longer(store: DynamoHealth) -> None:
    clock = ManualClock(4_000_000)
    [health] = processes(store, clock, 1)
    await trip(health, "again")
    clock.advance(5.001)
    assert await health.may_ask("again", "x") == (True, True)
    await health.failed("again", "x", probe=True, blameless=True)
    clock.advance(9.999)
    assert health.standing("again", "y")[0] is Standing.COOLING
    clock.advance(0.001)
    assert health.standing("again", "y")[0] is Standing.PROBE


async def test_a_refused_version_is_not_written(store: DynamoHealth) -> None:
    assert await store.advance("raced", Breaker(State.OPEN, 1, 1, 5), now_ms=1)
    assert not await store.advance("raced", Breaker(State.CLOSED, 0, 0, 5), now_ms=1)
    assert not await store.advance("raced", Breaker(State.CLOSED, 0, 0, 4), now_ms=1)


async def test_changes_are_kept_newest_first(engine: tuple[DynamoClient, TableNames]) -> None:
    store = DynamoAudit(*engine)
    changes = [
        Change(1_795_003_200_000 + at, "ada", "account.change", f"acct_{at}", {"a": at}, {"a": at + 1}) for at in (1, 2)
    ]
    for change in changes:
        await store.put(change, random_bits=1)
    assert list(await store.changes("2026-11", 10)) == changes[::-1]
    assert list(await store.changes("2026-11", 1)) == changes[1:]
    tried = replace(changes[0], at_ms=changes[0].at_ms + 9, state=AuditState.UNCLEAR, asked={"a": 9})
    for number in range(3):
        none = replace(tried, at_ms=tried.at_ms + number, state=AuditState.NOTHING)
        await store.put(none, random_bits=number + 2)
    await store.put(tried, random_bits=1)
    assert list(await store.changes("2026-11", 2)) == [tried, changes[1]]
    assert not await store.changes("2026-10", 10)

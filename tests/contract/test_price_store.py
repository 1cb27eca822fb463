"""Decisions of the oracle form one chain on both engines, whoever races."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from jatevo_testing.oracles import MINUTE, P, Timeline
from jatevo_testing.tables import fresh_tables

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.prices import DynamoPrices
from jatevo.application.prices import PriceRecord, StoredPrices, Told
from jatevo.domain.oracle import Oracle
from jatevo.domain.price_rules import PriceRules
from jatevo_local.engine import REGION


@pytest.fixture(params=["dynoxide", "extenddb"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[DynamoPrices]:
    endpoint = request.getfixturevalue(request.param)
    with fresh_tables(endpoint) as names:
        client = DynamoClient(ClientOptions(region=REGION, endpoint_url=endpoint))
        yield DynamoPrices(client, names, history_days=90)
        client.close()


def told(oracle: Oracle, **more: object) -> Told:
    line = Told(oracle.at_ms, "moved", "ok", "stale", P, P, None, P, None, witnesses=oracle.witnesses)
    return replace(line, **more)  # type: ignore[arg-type]


def decisions(count: int) -> list[Oracle]:
    """Return an oracle after each of so many runs, with all that one can hold."""
    line, made = Timeline(), []
    line.set_rate(P, for_s=60 * MINUTE)
    for number in range(count):
        line.after(5 * MINUTE, P, 3 * P if number % 2 else P, None)
        made.append(line.oracle)
    return made


async def test_what_was_decided_is_read_back_whole(store: DynamoPrices) -> None:
    assert await store.read() == Oracle()
    previous = Oracle()
    for oracle in decisions(15):
        assert await store.add(PriceRecord(oracle, told(oracle)), previous=previous)
        assert await store.read() == oracle
        previous = oracle
    quote = await StoredPrices(store, PriceRules()).quote(previous.at_unix_s)
    assert quote.price_pico_usd == P


async def test_a_decision_made_from_an_old_state_is_not_stored(store: DynamoPrices) -> None:
    first, second, third = decisions(3)
    assert await store.add(PriceRecord(first, told(first)), previous=Oracle())
    assert await store.add(PriceRecord(second, told(second)), previous=first)
    assert not await store.add(PriceRecord(third, told(third)), previous=first)
    assert not await store.add(PriceRecord(third, told(third)), previous=Oracle())
    assert await store.read() == second
    assert [line.at_ms for line in await store.history(limit=9)] == [second.at_ms, first.at_ms]


async def test_of_many_that_race_one_is_stored(store: DynamoPrices) -> None:
    [first] = decisions(1)
    rivals = [replace(first, at_ms=first.at_ms + number) for number in range(1, 9)]
    stored = await asyncio.gather(*(store.add(PriceRecord(one, told(one)), previous=Oracle()) for one in rivals))
    assert sum(stored) == 1
    assert (await store.read()).at_ms == rivals[stored.index(True)].at_ms
    assert len(await store.history(limit=9)) == 1


async def test_storing_the_same_decision_again_is_no_conflict(store: DynamoPrices) -> None:
    [first] = decisions(1)
    record = PriceRecord(first, told(first))
    assert await store.add(record, previous=Oracle())
    assert await store.add(record, previous=Oracle())
    assert len(await store.history(limit=9)) == 1


async def test_only_operators_changes_are_audited_and_history_is_paged(store: DynamoPrices) -> None:
    previous = Oracle()
    for number, oracle in enumerate(decisions(5)):
        operator = "ada" if number == 2 else ""
        assert await store.add(PriceRecord(oracle, told(oracle, operator=operator, note="why")), previous=previous)
        previous = oracle
    everything = await store.history(limit=9)
    assert len(everything) == 5
    page = await store.history(limit=2)
    assert [*page, *await store.history(limit=9, before_ms=page[-1].at_ms)] == everything
    assert [(line.operator, line.note) for line in await store.history(limit=9, audit=True)] == [("ada", "why")]

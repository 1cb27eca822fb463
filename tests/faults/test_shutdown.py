"""A gateway that is told to end settles what it has begun, whoever still listens."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from jatevo_testing.gateway import gateways
from jatevo_testing.raw_client import raw_client
from jatevo_testing.streams import DONE, FINISH, HELLO, event
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, chunk, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import World

from jatevo.bootstrap import Settings
from jatevo.domain.ledger import Reason

SETTINGS = Settings(directory_keep_ms=0, margin_bps=0)


@pytest.fixture
async def fresh_world(dynoxide: str, upstream: ScriptedUpstream) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        world = World(dynoxide, names.windows.removesuffix("-windows"), SETTINGS)
        world.apply_catalogue(base_url=upstream.base_url)
        yield world
        await world.close()


async def test_an_answer_whose_client_has_left_is_settled_before_the_process_ends(
    fresh_world: World, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def slow(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(HELLO)
        await go_on.wait()
        await connection.event(FINISH + event(chunk(None, counted=usage(10, 50))) + DONE)
        await connection.end_stream()

    upstream.script = slow
    customer = fresh_world.customer()
    async with gateways(fresh_world.settings, [None]) as [gateway]:
        async with raw_client(httpx.URL(gateway.base_url)) as client:
            await client.post(customer, stream=True)
            await client.reader.readuntil(b"hello")
        gateway.end()
        go_on.set()
        await asyncio.to_thread(gateway.wait)
    [entry] = await fresh_world.ledger(customer)
    assert entry.reason in {Reason.ANSWERED, Reason.CLIENT_LEFT}  # whether it had noticed
    assert entry.figures.charge_nano_usd == 10 * 1_000 + 50 * 2_000
    assert not (await fresh_world.window(customer)).open


@pytest.mark.parametrize(("stream", "reason"), [(True, Reason.UPSTREAM_BROKE), (False, Reason.NO_ANSWER)])
async def test_an_answer_that_takes_too_long_is_cut_short_and_settled_for_what_came(
    world: World, upstream: ScriptedUpstream, *, stream: bool, reason: Reason
) -> None:
    the_end = asyncio.Event()

    async def endless(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(HELLO)
        await the_end.wait()

    upstream.script = endless
    customer = world.customer()
    waiting = asyncio.ensure_future(world.chat(customer, stream=stream))
    await eventually(upstream.was_asked)
    await world.app.drain(patience_s=0.2)
    await asyncio.gather(waiting, return_exceptions=True)  # its transport cannot show an answer that breaks off
    [entry] = await world.ledger(customer)
    assert entry.reason is reason
    assert (entry.figures.charge_nano_usd > 0) is stream
    assert not (await world.window(customer)).open
    the_end.set()

"""The engine under a gateway dies while a request waits for its upstream: nothing is lost, and nothing is pretended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from jatevo_testing.bench import check_books, check_seen
from jatevo_testing.clocks import AheadClock
from jatevo_testing.served import Seen, seen_by, served
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Held, ScriptedUpstream, answering, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import Customer, World

from jatevo.bootstrap import Settings
from jatevo.domain.ledger import Reason
from jatevo_local.engine import Engine, start_dynoxide
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Children

PATIENT = Settings(directory_keep_ms=600_000, upstream_deadline_s=300, reservation_grace_s=60, margin_bps=0)
HASTY = replace(PATIENT, reservation_grace_s=1)
"""Gives settling up after a second; the clock is set ahead to where the reservation has expired."""
CHARGE = 10 * 1_000 + 20 * 2_000


@dataclass
class Bed:
    """A served gateway over an engine of its own, which may be killed."""

    folder: Path
    children: Children
    port: int
    engine: Engine
    world: World
    clock: AheadClock
    client: httpx.AsyncClient
    customer: Customer
    held: Held = field(default_factory=lambda: Held(answering("hello there", usage(10, 20))))

    async def ask(self, *, stream: bool) -> Seen:
        seen = await seen_by(self.client, self.customer.headers, stream=stream)
        check_seen(seen)
        return seen

    async def restart_engine(self) -> None:
        self.engine = start_dynoxide(self.children, self.port, self.folder / "dynamodb.db")

        async def back() -> bool:
            return accepts_connections(self.port)

        await eventually(back, within_s=60)


@pytest.fixture
async def bed(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    """A bed with the settings of the test's `bed` parameter."""
    clock = AheadClock()
    with Children(tmp_path, say=lambda _: None) as children:
        port = free_port()
        engine = start_dynoxide(children, port, tmp_path / "dynamodb.db")
        with fresh_tables(engine.endpoint_url) as names:
            world = World(engine.endpoint_url, names.windows.removesuffix("-windows"), request.param, clock)
            async with (
                ScriptedUpstream() as upstream,
                served(world.app) as base_url,
                httpx.AsyncClient(base_url=base_url, timeout=120) as client,
            ):
                world.apply_catalogue(base_url=upstream.base_url)
                made = Bed(tmp_path, children, port, engine, world, clock, client, world.customer())
                upstream.script = made.held
                yield made
            await world.close()


@pytest.mark.parametrize("bed", [PATIENT], ids=["patient"], indirect=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_comes_back_at_once_is_waited_for(bed: Bed, *, stream: bool) -> None:
    under_way = asyncio.create_task(bed.ask(stream=stream))
    await bed.held.asked.wait()
    os.kill(bed.engine.process.pid, signal.SIGKILL)  # whoever started it starts it again
    bed.held.go_on.set()

    seen = await under_way

    assert seen.status == 200
    [entry] = await bed.world.ledger(bed.customer)
    window = await bed.world.window(bed.customer)
    assert entry.figures.charge_nano_usd == window.settled_nano_usd == CHARGE
    check_books(window, [entry])
    assert not window.open


@pytest.mark.parametrize("bed", [HASTY], ids=["hasty"], indirect=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_stays_away_is_said_to_the_client_and_swept_up_later(bed: Bed, *, stream: bool) -> None:
    under_way = asyncio.create_task(bed.ask(stream=stream))
    await bed.held.asked.wait()
    bed.engine.process.stop()
    bed.held.go_on.set()

    seen = await under_way

    assert seen.error["code"] == "service_unavailable"
    assert seen.broken if stream else seen.status == 503
    refused = await bed.ask(stream=stream)
    assert (refused.status, refused.error["code"]) == (503, "service_unavailable")
    await bed.restart_engine()
    await swept_up(bed)


async def swept_up(bed: Bed) -> None:
    """Sweep when the reservation has expired, and check that it cost the request, and no money."""
    [hold] = (await bed.world.window(bed.customer)).open.values()

    bed.clock.advance(hold.expires_at_unix_s + 1 - bed.clock.now_ms() / 1000)
    assert (await bed.world.gateway.sweeper().run()).expired == 1
    [entry] = await bed.world.ledger(bed.customer)
    window = await bed.world.window(bed.customer)
    assert entry.reason is Reason.ABANDONED
    assert window.settled_nano_usd == 0
    assert window.requests_left == window.limits.requests - 1
    check_books(window, [entry])

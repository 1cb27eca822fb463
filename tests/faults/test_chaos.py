"""
Everything at once: several pools that misbehave in every way, two gateway processes, many clients.

Whatever happens: no client learns of a pool, nothing is charged for nothing, no limit is passed, the books add up; and
once the pools behave again, all of them are found again without a restart. A failing seed is printed.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from jatevo_testing.bench import check_books, check_seen
from jatevo_testing.gateway import gateways
from jatevo_testing.served import Seen, seen_by
from jatevo_testing.streams import DONE, FINISH, HELLO, sending
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, Script, ScriptedUpstream, answering, completion, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import MODEL, Customer, World

from jatevo.bootstrap import Settings
from jatevo.domain.windows import Window

SEED = 20261125
POOLS = "abcd"
REQUESTS, AT_ONCE, ACCOUNTS = 120, 16, 8
SETTINGS = Settings(
    directory_keep_ms=300, upstream_deadline_s=12, upstream_idle_s=2, reservation_grace_s=10, breaker_cooldown_s=1
)
FINE = answering("fine", usage(10, 20))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def replying(status: int, body: Any = b"secret", **headers: str) -> Script:
    async def script(_: Asked, connection: Connection) -> None:
        await connection.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return script


async def refuse(_: Asked, connection: Connection) -> None:
    await connection.hang_up()


async def hang(_: Asked, connection: Connection) -> None:
    await asyncio.Event().wait()


async def drip(_: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    while not connection.closed:
        await connection.raw(b"2\r\n: \r\n")
        await asyncio.sleep(1)


FAULTS: dict[str, Script] = {
    "refuses": refuse,
    "hangs": hang,
    "drips": drip,
    "429": replying(429),
    "429 with a wait": replying(429, retry_after="1"),
    "500": replying(500, {"error": {"message": "secret-pool http://127.0.0.1 failed"}}),
    "half a frame": sending(HELLO[:-9], then="hang_up"),
    "garbage": replying(200, b'{"choices": [secret'),
    "closes in the middle": sending(HELLO, then="hang_up"),
    "zero usage": answering("fine", usage(0, 0)),
    "negative usage": answering("fine", usage(-5, -5)),
    "enormous usage": answering("fine", usage(10, 10**9)),
    "another model": replying(200, completion("x", usage(10, 20)) | {"model": "secret-other"}),
    "fine": sending(HELLO, FINISH, DONE),
}


def misbehaving(chance: random.Random) -> Script:
    async def script(asked: Asked, connection: Connection) -> None:
        await FAULTS[chance.choice(sorted(FAULTS))](asked, connection)

    return script


@dataclass
class Stage:
    """Two gateway processes over one store, and the pools they share."""

    world: World
    pools: dict[str, ScriptedUpstream]
    clients: list[httpx.AsyncClient]

    async def send(self, customer: Customer, place: int, *, stream: bool) -> Seen:
        client = self.clients[place % len(self.clients)]
        subject = [{"role": "user", "content": f"subject {place}"}]
        return await seen_by(client, customer.headers, messages=subject, max_tokens=100, stream=stream)

    async def books(self, customer: Customer) -> None:
        async def at_rest() -> Window | None:
            window = await self.world.window(customer)
            return None if window.open else window

        window = await eventually(at_rest)
        assert window is not None
        entries = await self.world.ledger(customer)
        check_books(window, entries)
        for entry in entries:
            answered = entry.reason in {"answered", "client_left", "upstream_broke"}
            assert answered == (entry.figures.charge_nano_usd > 0), "a charge is for something that came"


@pytest.fixture
async def stage(dynoxide: str) -> AsyncIterator[Stage]:
    with fresh_tables(dynoxide) as names:
        prefix = names.windows.removesuffix("-windows")
        world = World(dynoxide, prefix, SETTINGS)
        async with AsyncExitStack() as stack:
            pools = {name: await stack.enter_async_context(ScriptedUpstream()) for name in POOLS}
            document = {
                "pools": [
                    {"id": f"secret-{name}", "base_url": pool.base_url, "first_byte_s": 1}
                    for name, pool in pools.items()
                ],
                "models": [
                    MODEL | {"routes": [{"pool": f"secret-{name}", "model": f"secret-{name}-model"} for name in POOLS]}
                ],
            }
            world.put_catalogue(document)
            processes = await stack.enter_async_context(gateways(world.settings, [None, None]))
            clients = [
                await stack.enter_async_context(httpx.AsyncClient(base_url=process.base_url, timeout=20))
                for process in processes
            ]
            yield Stage(world, pools, clients)
        await world.close()


@pytest.mark.slow
async def test_under_every_fault_at_once_the_promises_hold_and_every_pool_is_found_again(stage: Stage) -> None:
    chance = random.Random(SEED)
    for pool in stage.pools.values():
        pool.script = misbehaving(random.Random(chance.random()))
    customers = [stage.world.customer(requests=1000, margin_bps=0) for _ in range(ACCOUNTS)]
    places = list(range(REQUESTS))

    async def client() -> None:
        while places:
            place = places.pop()
            seen = await stage.send(customers[place % ACCOUNTS], place, stream=place % 3 > 0)
            check_seen(seen)
            assert seen.status in {200, 502, 503, 504}, seen.status

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    for customer in customers:
        await stage.books(customer)

    for pool in stage.pools.values():
        pool.script = FINE

    async def found_again() -> bool:
        for pool in stage.pools.values():
            pool.asked.clear()
        newcomers = [stage.world.customer(requests=1000, margin_bps=0) for _ in range(3)]
        told = [await stage.send(newcomers[at % 3], at, stream=True) for at in range(24)]
        return all(seen.status == 200 for seen in told) and all(pool.asked for pool in stage.pools.values())

    assert await eventually(found_again, within_s=60), f"seed {SEED}"

"""Places in a divided pool, from several gateway processes at once: none is taken twice, and none of a lane is lent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jatevo_testing.gateway import gateways
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.domain.binding import Slot, slot_binding

PROCESSES = 3
PLACES = {"gold": 3, "shared": 2}
FINE = answering("fine", usage(10, 20))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Watched:
    """An upstream that takes its time, and counts who is there at once, by the `user` of each request."""

    at_once: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    until: int = 0
    """Nobody is answered before so many were there at once."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, asked: Asked, connection: Connection) -> None:
        lane = asked.body["user"]
        self.at_once[lane] += 1
        self.most[lane] = max(self.most[lane], self.at_once[lane])
        if self.most[lane] >= self.until:
            self.reached.set()
        await asyncio.sleep(0.1)
        await self.reached.wait()
        self.at_once[lane] -= 1
        await FINE(asked, connection)


@dataclass
class Town:
    """Gateways in processes of their own over one divided pool."""

    world: World
    upstream: ScriptedUpstream
    clients: list[httpx.AsyncClient]

    def customer(self, *lanes: str) -> Customer:
        terms: dict[str, Any] = {"requests": 10_000, "budget_nano_usd": 1000 * USD, "concurrency": 64}
        return self.world.customer(lanes=frozenset(lanes), **terms)

    async def ask(self, process: int, customer: Customer, lane: str) -> tuple[int, str]:
        """Send a request to one of the gateways and return its status and error code."""
        body = {"model": f"{lane}/test-model", "user": lane, "max_tokens": 10}
        body["messages"] = [{"role": "user", "content": "hello"}]
        client = self.clients[process % PROCESSES]
        answer = await client.post("/v1/chat/completions", json=body, headers=customer.headers)
        return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]

    async def all_places_are_free_of(self, lane: str) -> None:
        window = await self.world.gateway.windows.read(slot_binding(Slot(lane, "main", PLACES[lane], 1)).key)
        assert window is not None
        assert (window.limits.concurrency, dict(window.open)) == (PLACES[lane], {})


@pytest.fixture(scope="module")
async def lasting_town(dynoxide: str) -> AsyncIterator[Town]:
    with fresh_tables(dynoxide) as names:
        async with AsyncExitStack() as stack:
            upstream = await stack.enter_async_context(ScriptedUpstream())
            world = World(dynoxide, names.windows.removesuffix("-windows"))
            pool = {"id": "main", "base_url": upstream.base_url, "concurrency": sum(PLACES.values())}
            lanes = [{"id": "gold", "pools": ["main"], "guaranteed": {"main": PLACES["gold"]}}]
            world.put_catalogue({"pools": [pool], "models": [MODEL], "lanes": lanes})
            running = await stack.enter_async_context(gateways(world.settings, [None] * PROCESSES))
            clients = [httpx.AsyncClient(base_url=gateway.base_url, timeout=30) for gateway in running]
            yield Town(world, upstream, [await stack.enter_async_context(client) for client in clients])
        await world.close()


@pytest.fixture
async def town(lasting_town: Town) -> Town:
    lasting_town.upstream.script = Watched()
    return lasting_town


def watched(town: Town) -> Watched:
    assert isinstance(town.upstream.script, Watched)
    return town.upstream.script


async def full(town: Town, lane: str) -> bool:
    return watched(town).most[lane] == PLACES[lane]


@pytest.mark.parametrize("lane", ["gold", "shared"])
async def test_a_crowd_takes_each_place_and_none_twice(town: Town, lane: str) -> None:
    """Nobody leaves before all places are taken; then everybody is served in the end."""
    watched(town).until = PLACES[lane]
    people = [town.customer(lane) if lane == "gold" else town.customer() for _ in range(4)]

    async def insist(number: int) -> set[tuple[int, str]]:
        told = {await town.ask(number, people[number % len(people)], lane)}
        while (200, "") not in told:
            await asyncio.sleep(0.05)
            told.add(await town.ask(number, people[number % len(people)], lane))
        return told

    async with asyncio.timeout(40):
        told = await asyncio.gather(*(insist(number) for number in range(18)))

    assert watched(town).most == {lane: PLACES[lane]}
    assert set().union(*told) == {(200, ""), (429, "concurrency_limit")}
    await town.all_places_are_free_of(lane)


async def test_shared_load_at_four_times_capacity_leaves_a_reserved_lanes_requests_unharmed(town: Town) -> None:
    member, crowd = town.customer("gold"), [town.customer() for _ in range(4 * sum(PLACES.values()))]
    stopped, shared = asyncio.Event(), Counter[tuple[int, str]]()

    async def press(process: int, customer: Customer) -> None:
        while not stopped.is_set():
            outcome = await town.ask(process, customer, "shared")
            shared[outcome] += 1
            if outcome[0] != 200:
                await asyncio.sleep(0.02)

    pressing = [asyncio.ensure_future(press(process, customer)) for process, customer in enumerate(crowd)]
    await eventually(lambda: full(town, "shared"))
    for _ in range(5):
        told = await asyncio.gather(*(town.ask(process, member, "gold") for process in range(PLACES["gold"])))
        assert told == [(200, "")] * PLACES["gold"]
    stopped.set()
    await asyncio.gather(*pressing)

    assert watched(town).most == PLACES
    assert set(shared) == {(200, ""), (429, "concurrency_limit")}
    assert shared[429, "concurrency_limit"] > shared[200, ""], "the load was more than there was room for"
    for lane in PLACES:
        await town.all_places_are_free_of(lane)

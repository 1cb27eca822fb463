"""
`kill -9` of a gateway process at each step of the protocol, and of the engine under it.

Every case is one request to a gateway process of its own that dies at one step. Then the engine dies too. After both
have come back, and the reservations have expired, the sweeper runs: each reservation has ended once, the ledger and
the windows agree, and every account can go on.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from jatevo_testing.bench import check_books
from jatevo_testing.doom import Doom, Moment
from jatevo_testing.gateway import GatewayProcess, gateways
from jatevo_testing.served import chat
from jatevo_testing.streams import HELLO
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import Customer, World

from jatevo.application.sweeper import SweepReport
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import key_window
from jatevo.domain.ledger import LedgerEntry, Outcome, Reason
from jatevo.domain.windows import Limits, Window, unbalanced_nano_usd
from jatevo_local.engine import start_dynoxide
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Child, Children

SETTINGS = Settings(directory_keep_ms=0, upstream_deadline_s=3, reservation_grace_s=1, margin_bps=0)
CHARGE = 10 * 1_000 + 20 * 2_000
CAPS = Limits(requests=5, budget_nano_usd=10**9)


@dataclass(frozen=True)
class Case:
    """Where the process dies, and what must have become of the request: one of `ends`, None for no trace of it."""

    doom: Doom | None
    ends: tuple[Reason | None, ...]
    capped: bool = False
    stream: bool = False


BEFORE, DURING, AFTER = Moment
LEFT, DONE, NEVER = (Reason.ABANDONED,), (Reason.ANSWERED,), (None,)
CASES = {
    "before reserving": Case(Doom(BEFORE, "reserve"), NEVER),
    "while reserving": Case(Doom(DURING, "reserve"), (*LEFT, None)),
    "after reserving": Case(Doom(AFTER, "reserve"), LEFT, stream=True),
    "between two windows": Case(Doom(AFTER, "reserve"), (Reason.RESERVE_UNKNOWN,), capped=True),
    "after reserving in two windows": Case(Doom(AFTER, "reserve", 2), LEFT, capped=True),
    "while the upstream answers": Case(None, LEFT, stream=True),
    "before deciding": Case(Doom(BEFORE, "decide"), LEFT),
    "while deciding": Case(Doom(DURING, "decide"), (*LEFT, *DONE), stream=True),
    "after deciding": Case(Doom(AFTER, "decide"), DONE),
    "before applying": Case(Doom(BEFORE, "settle"), DONE, stream=True),
    "while applying": Case(Doom(DURING, "settle"), DONE),
    "after applying": Case(Doom(AFTER, "settle"), DONE, stream=True),
    "after applying to one of two windows": Case(Doom(AFTER, "settle"), DONE, capped=True),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Aftermath:
    """What was found once everything had died, come back and been swept."""

    world: World
    customers: dict[str, Customer] = field(default_factory=dict)
    open_before: dict[str, int] = field(default_factory=dict)
    too_early: SweepReport = field(default_factory=SweepReport)
    swept: SweepReport = field(default_factory=SweepReport)
    swept_again: SweepReport = field(default_factory=SweepReport)
    entries: dict[str, list[LedgerEntry]] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    key_windows: dict[str, Window] = field(default_factory=dict)

    async def look(self) -> None:
        for name, customer in self.customers.items():
            self.entries[name] = await self.world.ledger(customer)
            self.windows[name] = await self.world.window(customer)
            of_key = key_window(customer.account.id, customer.key.id, self.world.today())
            if (found := await self.world.gateway.windows.read(of_key)) is not None:
                self.key_windows[name] = found


@pytest.fixture(scope="module")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    folder: Path = tmp_path_factory.mktemp("kill")
    with Children(folder, say=lambda _: None) as children:
        port = free_port()
        engine = start_dynoxide(children, port, folder / "dynamodb.db")
        with fresh_tables(engine.endpoint_url) as names:
            world = World(engine.endpoint_url, names.windows.removesuffix("-windows"), SETTINGS)
            async with ScriptedUpstream(script=answering("hello", usage(10, 20))) as upstream:
                world.apply_catalogue(base_url=upstream.base_url)
                found = Aftermath(world)
                async with gateways(world.settings, [case.doom for case in CASES.values()]) as doomed:
                    await die_everywhere(found, dict(zip(CASES, doomed, strict=True)), upstream)
                await kill_and_wait(engine.process, port)
                await sweep(found)
                yield found
            await world.close()


async def die_everywhere(found: Aftermath, doomed: dict[str, GatewayProcess], upstream: ScriptedUpstream) -> None:
    """Send one request to each doomed gateway, all at once, and wait until every one of them is dead."""
    for name, case in CASES.items():
        found.customers[name] = found.world.customer(caps=CAPS if case.capped else None)
        assert (await found.world.chat(found.customers[name])).status_code == 200, "this opens the windows"
    victim = doomed["while the upstream answers"]
    serve = upstream.script

    async def killing(asked: Asked, connection: Connection) -> None:
        if asked.body.get("user") != "victim":
            await serve(asked, connection)
            return
        await connection.begin_stream()
        await connection.event(HELLO)
        os.kill(victim.pid, signal.SIGKILL)

    upstream.script = killing
    await asyncio.gather(*(last_request(doomed[name], found.customers[name], case) for name, case in CASES.items()))


async def last_request(gateway: GatewayProcess, customer: Customer, case: Case) -> None:
    user = {"user": "victim"} if case.doom is None else {}
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=20) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/chat/completions", json=chat(stream=case.stream, **user), headers=customer.headers)

    async def dead() -> bool:
        return gateway.was_killed

    await eventually(dead)


async def kill_and_wait(engine: Child, port: int) -> None:
    """Kill the engine; it is started again by itself."""
    killed = engine.pid
    os.kill(killed, signal.SIGKILL)

    async def back() -> bool:
        return engine.pid != killed and accepts_connections(port)

    await eventually(back)


async def sweep(found: Aftermath) -> None:
    """Sweep at once, which must end nothing, then when all has expired, then once more."""
    sweeper = found.world.gateway.sweeper()
    found.too_early = await sweeper.run()
    await found.look()
    found.open_before = {name: len(window.open) for name, window in found.windows.items()}
    open_holds = [hold for window in found.windows.values() for hold in window.open.values()]
    last = max(hold.expires_at_unix_s for hold in open_holds)

    async def expired() -> bool:
        return found.world.gateway.clock.now_ms() // 1000 > last

    await eventually(expired)
    found.swept = await sweeper.run()
    found.swept_again = await sweeper.run()
    await found.look()


@pytest.mark.parametrize("name", CASES)
async def test_a_reservation_ends_once_wherever_its_process_was_killed(aftermath: Aftermath, name: str) -> None:
    first, *later = aftermath.entries[name]
    case, window = CASES[name], aftermath.windows[name]

    assert first.reason is Reason.ANSWERED
    assert len(later) <= 1
    reason = later[0].reason if later else None
    assert reason in case.ends
    check_books(window, aftermath.entries[name])
    assert not window.open
    charges = 2 if reason is Reason.ANSWERED else 1
    assert window.settled_nano_usd == charges * CHARGE, "the money of a request without an answer is given back"
    counted = 2 if reason in {Reason.ANSWERED, Reason.ABANDONED} else 1
    assert window.requests_left == 11 - counted, "a request that may have been answered stays counted"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.capped])
async def test_the_window_of_a_capped_key_ends_up_as_its_account_s(aftermath: Aftermath, name: str) -> None:
    account, key = aftermath.windows[name], aftermath.key_windows[name]

    assert not key.open
    assert unbalanced_nano_usd(key) == 0
    assert key.settled_nano_usd == account.settled_nano_usd
    assert key.limits.requests - key.requests_left == account.limits.requests - account.requests_left


async def test_what_was_exposed_is_recorded(aftermath: Aftermath) -> None:
    for entries in aftermath.entries.values():
        for entry in entries:
            expired = entry.outcome is Outcome.EXPIRED
            assert entry.figures.exposure_nano_usd == (entry.reserved_nano_usd if expired else 0)


async def test_the_sweeper_ends_nothing_early_everything_once_and_then_has_nothing_to_do(aftermath: Aftermath) -> None:
    held = [name for name, count in aftermath.open_before.items() if count]

    assert aftermath.too_early.expired == aftermath.too_early.applied == aftermath.too_early.failed == 0
    assert "after reserving" in held
    assert "before reserving" not in held
    assert "after applying" not in held
    assert aftermath.swept.expired + aftermath.swept.applied >= len(held)
    assert aftermath.swept.failed == 0
    assert aftermath.swept_again == SweepReport()


async def test_every_account_goes_on_with_a_gateway_that_is_started_again(aftermath: Aftermath) -> None:
    async with (
        gateways(aftermath.world.settings, [None]) as [again],
        httpx.AsyncClient(base_url=again.base_url, timeout=20) as client,
    ):
        for customer in aftermath.customers.values():
            before = await aftermath.world.window(customer)
            answer = await client.post("/v1/chat/completions", json=chat(), headers=customer.headers)
            assert answer.status_code == 200
            after = await aftermath.world.window(customer)
            assert after.settled_nano_usd == before.settled_nano_usd + CHARGE
            assert after.requests_left == before.requests_left - 1

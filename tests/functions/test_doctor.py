"""`jatevo doctor` on a gateway that runs: what is not well is named, with what to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from jatevo_testing.served import served
from jatevo_testing.tables import plain_client, put_window
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream
from jatevo_testing.world import MODEL, World

from jatevo.application import day_audits
from jatevo.bootstrap import Gateway
from jatevo.domain import ids
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import DAY_S, utc_day
from jatevo.domain.windows import Hold, opened
from jatevo_admin.handler import create_app
from jatevo_cli.main import main
from jatevo_local.ports import free_port

TOKEN = "operators-token-for-tests"

type Doctor = Callable[[], Awaitable[tuple[int, str]]]


@pytest.fixture
async def doctor(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], upstream: ScriptedUpstream
) -> AsyncIterator[Doctor]:
    gateway = Gateway(replace(world.settings, operator_token=TOKEN, public_url="https://gateway.test"), {})
    monkeypatch.setattr(day_audits, "_DAYS_BACK", 2)
    upstream.script = listing
    async with served(create_app(gateway)) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)

        async def examine() -> tuple[int, str]:
            status = await asyncio.to_thread(main, ["doctor"])
            said = capsys.readouterr()
            return status, said.out + said.err

        yield examine
    gateway.close()


async def listing(_asked: Asked, connection: Connection) -> None:
    await connection.reply(401, b"{}")


async def audited(world: World) -> None:
    while await world.gateway.day_audits().run() is not None:
        pass


def last_audited(now_unix_s: int) -> str:
    """Return the latest day whose audit should be over: from three in the morning on, the one before."""
    return utc_day(now_unix_s - DAY_S - 3 * 3600)


async def test_a_gateway_that_is_well_is_told_so_line_by_line(world: World, doctor: Doctor) -> None:
    await audited(world)
    status, said = await doctor()
    assert status == 0, said
    lines = said.splitlines()
    assert all(line.startswith("ok  ") for line in lines), said
    for name in ("gateway", "clock", "service", "sweeper", "models", "pool main", "books"):
        assert sum(line.startswith(f"ok    {name}:") for line in lines) == 1, (name, said)


async def test_all_that_is_not_well_is_named_with_what_to_do(world: World, doctor: Doctor) -> None:
    down = f"http://127.0.0.1:{free_port()}/v1"
    world.apply_catalogue(MODEL, base_url=down)
    await world.gateway.administration().routes.drain("main", "somebody")
    now = world.gateway.clock.now_ms() // 1000
    customer = world.customer()
    day = last_audited(now)
    today, before = (account_window(customer.account.id, one) for one in (utc_day(now), day))
    client = plain_client(world.settings.dynamodb_endpoint)
    left = {ids.reservation_id((now - 1000) * 1000, 1): Hold(100, now - 900, "k")}
    put_window(client, world.names, replace(opened(today, customer.account.limits, 1), sweep_at_unix_s=now - 900), left)
    wrong = replace(opened(before, customer.account.limits, 1), settled_nano_usd=7)
    put_window(client, world.names, wrong, {})
    client.close()
    await audited(world)
    await world.gateway.administration().service.stop("somebody", "a test")
    status, said = await doctor()
    assert status == 1
    for line in (
        "fail  service: no requests are taken: a test",
        "fail  sweeper: reservations expired more than 5 minutes ago are still open",
        "fail  model test-model: no route of it would be asked",
        "fail  pool main: it cannot be reached: ConnectError",
        f"fail  books: 1 differences on {day}",
    ):
        assert line in said.splitlines(), said
    assert said.count("→") == 5, said
    assert down not in said


async def test_differences_in_the_books_are_told_until_they_were_looked_into(world: World, doctor: Doctor) -> None:
    customer = world.customer()
    now = world.gateway.clock.now_ms() // 1000
    day = last_audited(now)
    assert (await doctor())[1].count("has not been audited") == 1
    client = plain_client(world.settings.dynamodb_endpoint)
    window = opened(account_window(customer.account.id, day), customer.account.limits, 1)
    put_window(client, world.names, replace(window, settled_nano_usd=7), {})
    client.close()
    await audited(world)
    status, said = await doctor()
    assert (status, f"fail  books: 1 differences on {day}" in said) == (1, True), said


async def test_a_gateway_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JATEVO_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)
    assert await asyncio.to_thread(main, ["doctor"]) == 3
    assert "does not answer" in capsys.readouterr().err

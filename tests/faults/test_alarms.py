"""What goes wrong is named by the alarm for it, judged by what was measured of the real thing going wrong."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.served import served
from jatevo_testing.tables import put_window
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines
from jatevo.application import day_audits
from jatevo.application.measuring import measure_audit, measure_price, measure_sweep
from jatevo.application.price_updates import UpdateReport
from jatevo.application.spending import measure_spending
from jatevo.application.suspicion import Sign
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import DAY_S, utc_day
from jatevo.domain.ids import reservation_id
from jatevo.domain.market import MarketState
from jatevo.domain.windows import Hold, opened
from jatevo_inference.handler import create_app
from jatevo_local.alarms import State, alarms_in, judged
from jatevo_local.gateway import Routes
from jatevo_local.measured import Tail
from jatevo_local.tables import PREFIX

SETTINGS = Settings(directory_keep_ms=0, breaker_failures=0, day_ceiling_usd="0.01")
QUIET = {"SweeperSilentAlarm", "PriceStaleAlarm"}
"""Alarms about what does not run in a test that does not make it run."""


class Watched:
    """A gateway whose metrics are written as on one machine, and judged by the template's alarms."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.gateway = world.gateway
        self.folder = folder
        self.meter = self.gateway.meter = EmfMeter(PREFIX, self.gateway.clock, FileLines(folder / "gateway.jsonl"))
        self.gateway.settings = replace(self.gateway.settings, metrics=str(folder / "gateway.jsonl"))
        world.app = create_app(self.gateway)
        world.client = httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://gateway.test")

    def alarms(self) -> set[str]:
        """Return the names of the alarms that hold now."""
        self.meter.flush()
        found = judged(alarms_in(), Tail(self.folder).points(), time.time_ns() // 1_000_000)
        return {one.alarm.name for one in found if one.state is State.ALARM}


@pytest.fixture
async def watched(
    dynoxide: str, tables: TableNames, upstream: ScriptedUpstream, tmp_path: Path
) -> AsyncIterator[Watched]:
    world = World(dynoxide, tables.windows.removesuffix("-windows"), SETTINGS)
    world.apply_catalogue(MODEL, base_url=upstream.base_url)
    yield Watched(world, tmp_path)
    await world.close()


async def failing(_asked: Asked, connection: Connection) -> None:
    await connection.reply(500, {})


async def test_a_model_that_is_gone(watched: Watched, upstream: ScriptedUpstream) -> None:
    """Seen as what clients get, by the gateway in the place of API Gateway, and as tries that failed, by pool."""
    upstream.script = failing
    customer = watched.world.customer()
    async with served(Routes(watched.gateway)) as url, httpx.AsyncClient(base_url=url) as client:
        for _ in range(5):
            body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}
            answer = await client.post("/v1/chat/completions", json=body, headers=customer.headers)
            assert answer.status_code == 502
    assert watched.alarms() - QUIET == {"UpstreamAlarm"}, "one minute of errors is not three"


async def test_an_upstream_that_reports_more_than_was_reserved(watched: Watched, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(5000, 20))
    await watched.world.chat(watched.world.customer(), max_tokens=20)
    assert watched.alarms() - QUIET == {"OverrunAlarm"}


async def test_handlers_that_die(watched: Watched) -> None:
    world, gateway = watched.world, watched.gateway
    now_ms = gateway.clock.now_ms()
    customer = world.customer()
    key = account_window(customer.account.id, utc_day(now_ms // 1000))
    await gateway.windows.open(opened(key, customer.account.limits, 1), 1)
    for number in range(3):
        name = reservation_id(now_ms, number)
        await gateway.windows.reserve(key, name, Hold(1000, now_ms // 1000 - 1, customer.key.ref))
    measure_sweep(await gateway.sweeper().run(), watched.meter)
    assert watched.alarms() - QUIET == {"ExpiredAlarm"}
    assert "SweeperSilentAlarm" not in watched.alarms()


async def test_a_lane_that_is_used_up(watched: Watched, upstream: ScriptedUpstream) -> None:
    """Seen of the lane even where another one serves the request, so that nobody but operators notices."""
    lanes = [{"id": "gold", "pools": ["main"], "requests_per_day": 1}]
    pools = [{"id": "main", "base_url": upstream.base_url}]
    watched.world.put_catalogue({"pools": pools, "models": [MODEL], "lanes": lanes})
    customer = watched.world.customer(lanes=frozenset({"gold"}))
    for model in ["gold/test-model"] * 4 + ["test-model"] * 3:
        await watched.world.chat(customer, model=model)
    assert watched.alarms() - QUIET == {"LaneFullAlarm"}


@pytest.mark.parametrize("sign", Sign)
async def test_a_key_that_somebody_else_has(watched: Watched, sign: Sign, caplog: pytest.LogCaptureFixture) -> None:
    world = watched.world
    owner = world.customer(requests=100)
    leaked = {
        Sign.DISABLED: world.key_of(owner.account, enabled=False),
        Sign.FOREIGN_ADDRESS: world.key_of(owner.account, ip_ranges=frozenset({"203.0.113.0/24"})),
        Sign.MANY_ADDRESSES: world.key_of(owner.account),
    }[sign]
    with caplog.at_level("INFO"):
        for number in range(21):
            from_there = httpx.ASGITransport(world.app, client=(f"192.0.2.{number}", 1))
            async with httpx.AsyncClient(transport=from_there, base_url="http://gateway.test") as thief:
                await thief.post("/v1/chat/completions", json={"model": "none"}, headers=leaked.headers)
    assert watched.alarms() - QUIET == {"KeyLeakAlarm"}
    lines: list[dict[str, str]] = [getattr(record, "fields", {}) for record in caplog.records]
    told = [one for one in lines if one.get("suspicion") == sign]
    assert told, "which key it is can be read"
    assert {(one["account"], one["key"]) for one in told} == {(owner.account.id, leaked.key.id)}
    assert "192.0.2." not in str(told)


async def test_a_counter_that_somebody_moved(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_audits, "_DAYS_BACK", 2)
    world, gateway = watched.world, watched.gateway
    account = world.customer().account
    day = utc_day(gateway.clock.now_ms() // 1000 - 2 * DAY_S)
    window = opened(account_window(account.id, day), account.limits, 1)
    put_window(world.dynamodb, world.names, replace(window, settled_nano_usd=7), {})
    measure_audit(await gateway.day_audits().run(), watched.meter)
    assert watched.alarms() - QUIET == {"AuditAlarm"}


async def test_a_day_that_costs_too_much_and_the_stop_it_leads_to(watched: Watched) -> None:
    for _ in range(3):
        assert (await watched.world.chat(watched.world.customer(), max_tokens=2000)).status_code == 200
    measure_spending(await watched.gateway.daily_spend().run(), watched.meter)
    assert watched.alarms() - QUIET == {"DaySpendAlarm", "PausedAlarm"}
    assert (await watched.world.chat(watched.world.customer())).json()["error"]["code"] == "service_paused"


async def test_a_price_that_is_kept_because_its_sources_fell_silent(watched: Watched) -> None:
    for state, alarms in ((MarketState.FROZEN, set()), (MarketState.DEGRADED, {"PriceDegradedAlarm"})):
        for seconds_ago in (450, 150):
            clock = ManualClock(time.time_ns() // 1_000_000 - seconds_ago * 1000)
            meter = EmfMeter(PREFIX, clock, FileLines(watched.folder / f"{state}.jsonl"))
            measure_price(UpdateReport("kept_silence", state, 1, 0, 2, 4000), meter)
            meter.flush()
        assert watched.alarms() - {"SweeperSilentAlarm"} == alarms


async def test_a_price_that_nobody_tells(watched: Watched) -> None:
    """Missing counts as none: the oracle that does not run and the one that hears nothing are the same alarm."""
    watched.gateway.settings = replace(watched.gateway.settings, price_sources="")
    measure_price(await watched.gateway.price_updates().run(), watched.meter)
    assert watched.alarms() == QUIET

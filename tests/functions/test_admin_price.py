"""The oracle as operators meet it: the admin API and the command line, over a real engine."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.oracles import P, heard
from jatevo_testing.served import served
from jatevo_testing.world import World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.price_updates import PriceUpdates
from jatevo.bootstrap import Gateway, Settings
from jatevo.domain.calendar import utc_day
from jatevo.domain.prices import Heard
from jatevo_admin.handler import create_app
from jatevo_cli.main import main

TOKEN = "first-operators-own-token"
HOUR = 3600


class Said:
    """A source that says what it is told to."""

    def __init__(self, name: str, prices: dict[str, int | None]) -> None:
        self.name = name
        self._prices = prices

    async def observe(self, now_unix_s: int) -> Heard:
        [one] = heard(self._prices[self.name], at_unix_s=now_unix_s)
        return replace(one, source=self.name)


class Stage:
    """An admin API at a clock of its own, and the oracle behind it."""

    def __init__(self, gateway: Gateway, clock: ManualClock, admin: httpx.AsyncClient) -> None:
        self.clock, self.admin = clock, admin
        self.prices: dict[str, int | None] = {"a": P, "b": P, "c": P}
        sources = [Said(name, self.prices) for name in self.prices]
        self.updates = PriceUpdates(sources, gateway._price_store(), clock, gateway.settings.bounds_of_prices)

    async def runs(self, for_s: int) -> None:
        for _ in range(for_s // 300):
            self.clock.advance(300)
            await self.updates.run()

    def rate(self, **more: object) -> dict[str, object]:
        now = self.clock.now_ms() // 1000
        return {"price_usd": "0.002", "expires_at_unix_s": now + HOUR, "reason": "the sources are down", **more}


@pytest.fixture
async def stage(dynoxide: str, tables: TableNames) -> AsyncIterator[Stage]:
    clock = ManualClock()
    settings = Settings(
        dynamodb_endpoint=dynoxide, table_prefix=tables.windows.removesuffix("-windows"), operator_token=TOKEN
    )
    gateway = Gateway(settings, {}, clock=clock)
    transport = httpx.ASGITransport(create_app(gateway), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/admin/v1", headers=headers) as admin:
        yield Stage(gateway, clock, admin)
    gateway.close()


async def test_before_anything_was_decided_there_is_no_price(stage: Stage) -> None:
    shown = (await stage.admin.get("/price")).json()
    assert (shown["price_usd"], shown["state"], shown["rate"], shown["sources"]) == (None, "stale", None, [])
    assert (await stage.admin.get("/price/history")).json() == {"decisions": [], "next_before_ms": None}


async def test_the_price_is_explained_by_its_bounds_and_its_sources(stage: Stage) -> None:
    stage.prices["c"] = 3 * P
    await stage.runs(HOUR)
    stage.prices["b"] = None
    await stage.runs(300)
    shown = (await stage.admin.get("/price")).json()
    assert (shown["price_usd"], shown["state"], shown["basis"]) == ("0.01", "frozen", "market")
    assert (shown["in_force_usd"], shown["average_usd"], shown["ceiling_usd"]) == ("0.01", "0.01", None)
    standings = {one["source"]: (one["standing"], one["price_usd"], one["why"]) for one in shown["sources"]}
    assert standings == {
        "a": ("agreed", "0.01", None),
        "c": ("outlier", "0.03", None),
        "b": ("silent", None, "timeout"),
    }
    assert (await stage.admin.get("/price/history?limit=1")).json()["decisions"][0]["reason"] == "kept_disagreement"


async def test_a_rate_is_in_force_at_once_named_and_kept_in_the_audit(stage: Stage) -> None:
    await stage.runs(HOUR)
    answer = await stage.admin.put("/price/rate", json=stage.rate())
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["price_usd"], shown["state"], shown["basis"]) == ("0.002", "ok", "rate")
    assert (shown["rate"]["operator"], shown["rate"]["reason"]) == ("first", "the sources are down")
    await stage.runs(600)
    assert (await stage.admin.get("/price")).json()["price_usd"] == "0.002"

    cleared = (await stage.admin.delete("/price/rate", params={"reason": "they are back"})).json()
    assert (cleared["basis"], cleared["rate"]) == ("market", None)
    [second, first] = (await stage.admin.get("/price/history?audit=true")).json()["decisions"]
    assert (first["reason"], first["operator"], first["note"]) == ("rate_set", "first", "the sources are down")
    assert (first["previous_price_usd"], first["price_usd"]) == ("0.01", "0.002")
    assert (first["previous_rate_usd"], first["rate_usd"]) == (None, "0.002")
    assert (second["reason"], second["note"]) == ("rate_cleared", "they are back")
    assert (second["previous_rate_usd"], second["rate_usd"]) == ("0.002", None)
    trail = (await stage.admin.get("/audit", params={"month": utc_day(stage.clock.now_ms() // 1000)[:7]})).json()
    assert [change["action"] for change in trail["changes"]] == ["price.rate", "price.rate"]


async def test_a_rate_ends_by_itself(stage: Stage) -> None:
    await stage.admin.put("/price/rate", json=stage.rate())
    stage.clock.advance(HOUR - 1)
    assert (await stage.admin.get("/price")).json()["price_usd"] == "0.002"
    stage.clock.advance(1)
    shown = (await stage.admin.get("/price")).json()
    assert (shown["price_usd"], shown["state"], shown["rate"]) == (None, "stale", None)


async def test_a_rate_raises_no_price_at_once(stage: Stage) -> None:
    await stage.runs(HOUR)
    shown = (await stage.admin.put("/price/rate", json=stage.rate(price_usd="10.00"))).json()
    assert (shown["in_force_usd"], shown["price_usd"]) == ("10.00", "0.01")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"price_usd": "0"}, "price_usd"),
        ({"price_usd": "-1"}, "price_usd"),
        ({"price_usd": "1e3"}, "price_usd"),
        ({"price_usd": "0.0000000000001"}, "price_usd"),
        ({"price_usd": "99999999"}, "price_usd"),
        ({"price_usd": 0.01}, "price_usd"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 301}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"expires_at_unix_s": 1}, "expires_at_unix_s"),
        ({"expires_at_unix_s": 1_795_000_000 + 32 * 86_400}, "expires_at_unix_s"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_a_rate_that_cannot_be_meant_is_refused(stage: Stage, more: dict[str, object], param: str) -> None:
    answer = await stage.admin.put("/price/rate", json=stage.rate(**more))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert (await stage.admin.get("/price/history")).json()["decisions"] == []


async def test_clearing_needs_a_rate_and_a_reason(stage: Stage) -> None:
    assert (await stage.admin.delete("/price/rate", params={"reason": "why not"})).status_code == 404
    assert (await stage.admin.delete("/price/rate")).status_code == 400


async def test_nobody_but_an_operator_sees_or_sets_it(stage: Stage) -> None:
    stage.admin.headers["authorization"] = "Bearer nobody"
    for answer in (await stage.admin.get("/price"), await stage.admin.put("/price/rate", json=stage.rate())):
        assert answer.status_code == 401


async def test_the_history_pages_from_the_latest_back(stage: Stage) -> None:
    await stage.runs(5 * 300)
    found, before = [], ""
    while True:
        page = (await stage.admin.get(f"/price/history?limit=2{before}")).json()
        found += page["decisions"]
        if page["next_before_ms"] is None:
            break
        before = f"&before_ms={page['next_before_ms']}"
    assert [line["reason"] for line in found] == ["awaiting_first"] * 5
    assert [line["at_ms"] for line in found] == sorted((line["at_ms"] for line in found), reverse=True)


async def test_the_command_line_shows_sets_clears_and_lists(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(replace(world.settings, operator_token=TOKEN), {})
    async with served(create_app(gateway)) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        monkeypatch.setenv("JATEVO_ADMIN_TOKEN", TOKEN)

        async def run(*arguments: str) -> str:
            status = await asyncio.to_thread(main, ["admin", "price", *arguments])
            out = capsys.readouterr()
            assert status == 0, out.err
            return out.out

        assert "stale: no new day is opened on it" in await run("show")
        assert "by first: outage" in await run("set", "0.0025", "--expires", "12h", "--reason", "outage")
        shown = json.loads(await run("show", "--json"))
        assert (shown["price_usd"], shown["basis"]) == ("0.0025", "rate")
        assert "no sources" in await run("clear", "--reason", "over")
        lines = json.loads(await run("history", "--audit", "--json"))["decisions"]
        assert [line["reason"] for line in lines] == ["rate_cleared", "rate_set"]
        assert "rate_cleared" in await run("history")
    gateway.close()

"""The books of one's own: what was used and decided, whole, exact, nobody else's, harmless to open."""

import asyncio
import csv
import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from jatevo_testing.owners import Door, EvmPerson
from jatevo_testing.refusals import refused
from jatevo_testing.served import served
from jatevo_testing.world import World

from jatevo.application.administration.grants import NewGrant
from jatevo.domain.ids import reservation_id
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason
from jatevo.domain.tokens import TokenUsage
from jatevo_cli import owner_commands
from jatevo_cli.main import main

USAGE, LEDGER = "/account/v1/usage", "/account/v1/ledger"
DAY = "2026-11-18"


async def entered(
    world: World, door: Door, count: int, *, key_id: str = "key_a", model: str = "m", charge: int = 5
) -> None:
    """Put entries of today."""
    for number in range(count):
        await world.gateway.ledger.decide(
            LedgerEntry(
                account_id=await door.account_id(),
                day=world.today(),
                reservation_id=reservation_id(world.gateway.clock.now_ms() + number, hash((key_id, model)) & 0xFFFF),
                outcome=Outcome.CHARGED,
                reason=Reason.ANSWERED,
                reserved_nano_usd=10,
                windows=(),
                key_id=key_id,
                model=model,
                usage=TokenUsage(input_tokens=3, output_tokens=2),
                figures=Figures(cost_nano_usd=4, margin_nano_usd=charge - 4, charge_nano_usd=charge),
            )
        )


async def test_usage_is_summed_by_day_model_and_key(inside: Door, world: World) -> None:
    key = (await inside.ask("POST", "/account/v1/keys", {"name": "laptop"})).json()
    await entered(world, inside, 2, key_id=key["key_id"])
    await entered(world, inside, 3, model="n")
    days = (await inside.ask("GET", USAGE)).json()
    assert days["by"] == ["day"]
    assert days["sums"][-1] == {
        "label": DAY,
        "day": DAY,
        "requests": 5,
        "input_tokens": 15,
        "output_tokens": 10,
        "cache_read_input_tokens": 0,
        "total_tokens": 25,
        "charge_usd": "0.000000025",
        "resale_usd": "0.000000025",
    }
    by_model = (await inside.ask("GET", f"{USAGE}?by=model")).json()["sums"]
    assert [(each["label"], each["requests"]) for each in by_model] == [("m", 2), ("n", 3)]
    by_key = (await inside.ask("GET", f"{USAGE}?by=key")).json()["sums"]
    assert {(each["key_id"], each["label"], each["requests"]) for each in by_key} == {
        (key["key_id"], "laptop", 2),
        ("key_a", "key_a", 3),
    }
    both = (await inside.ask("GET", f"{USAGE}?by=day,model&days=1")).json()["sums"]
    assert [each["label"] for each in both] == [f"{DAY} · m", f"{DAY} · n"]


@pytest.mark.parametrize("query", ["by=", "by=hour", "by=day,day", "by=day;model", "days=0", "days=91", "days=x"])
async def test_a_sum_of_nothing_known_is_refused(query: str, inside: Door) -> None:
    answer = await inside.ask("GET", f"{USAGE}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_the_ledger_comes_whole_in_pages_either_way_and_in_either_form(inside: Door, world: World) -> None:
    await entered(world, inside, 25)
    ids: list[str] = []
    for order in ("", "&newest=true"):
        found = await pages(inside, f"limit=10{order}")
        ids = [entry["reservation_id"] for entry in found]
        assert len(set(ids)) == 25
        assert ids == sorted(ids, reverse=bool(order))
    rows = await csv_pages(inside, "limit=10")
    assert [row["reservation_id"] for row in rows] == sorted(ids)
    assert {row["charge_usd"] for row in rows} == {"0.000000005"}
    assert {row["at"] for row in rows} == {"2026-11-18T11:06:40Z"}
    exactly = (await inside.ask("GET", f"{LEDGER}?limit=25")).json()
    assert (len(exactly["entries"]), exactly["next"]) == (25, None)


async def pages(door: Door, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await door.ask("GET", f"{LEDGER}?{query}{cursor}")).json()
        found += page["entries"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


async def csv_pages(door: Door, query: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    cursor = ""
    while True:
        answer = await door.ask("GET", f"{LEDGER}?format=csv&{query}{cursor}")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment")
        found += csv.DictReader(io.StringIO(answer.text))
        if "x-jatevo-next-cursor" not in answer.headers:
            return found
        cursor = f"&cursor={answer.headers['x-jatevo-next-cursor']}"


async def test_an_owner_is_not_told_what_is_the_operators(inside: Door, world: World) -> None:
    await entered(world, inside, 1)
    for answer in (
        await inside.ask("GET", LEDGER),
        await inside.ask("GET", f"{LEDGER}?format=csv"),
        await inside.ask("GET", USAGE),
    ):
        assert not any(word in answer.text for word in ("cost", "margin", "exposure", "overrun", "upstream", "pool"))


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "|x", "%x", '"=1","', "a,b"])
async def test_no_name_of_a_key_is_a_formula_in_a_spreadsheet(name: str, inside: Door, world: World) -> None:
    key = (await inside.ask("POST", "/account/v1/keys", {"name": name})).json()
    await entered(world, inside, 1, key_id=key["key_id"])
    [row] = await csv_pages(inside, "limit=5")
    assert row["key_name"] in {name, f"'{name}"}
    assert not row["key_name"].startswith(("=", "+", "-", "@", "|", "%"))


@pytest.mark.parametrize(
    "query",
    [
        "day=yesterday",
        "day=2026-13-01",
        "day=2026-1-1",
        "cursor=x",
        "cursor=" + "z" * 64,
        "limit=0",
        "limit=1001",
        "format=xml",
        "newest=maybe",
    ],
)
async def test_what_no_page_gave_is_refused(query: str, inside: Door) -> None:
    answer = await inside.ask("GET", f"{LEDGER}?{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, error["code"], query.partition("=")[0])


async def test_nobody_elses_entries_are_shown(outside: Door, inside: Door, world: World) -> None:
    await entered(world, inside, 3)
    bob = await outside.signed_in(EvmPerson())
    assert (await bob.ask("GET", LEDGER)).json() == {"entries": [], "next": None}
    theirs = (await inside.ask("GET", LEDGER)).json()["entries"][1]["reservation_id"]
    assert (await bob.ask("GET", f"{LEDGER}?cursor={theirs}")).json()["entries"] == []
    assert all(each["requests"] == 0 for each in (await bob.ask("GET", USAGE)).json()["sums"])
    refused(await outside.ask("GET", LEDGER), 401, "invalid_session")


async def test_an_account_without_a_past_has_one_empty_day(inside: Door) -> None:
    sums = (await inside.ask("GET", f"{USAGE}?days=90")).json()["sums"]
    assert [each["label"] for each in sums] == [DAY]


async def test_a_balance_that_was_granted_shows_beside_the_budget(inside: Door, world: World) -> None:
    assert (await inside.ask("GET", "/account/v1/budget")).json()["prepaid"] is None
    grants, account = world.gateway.administration().grants, await inside.account_id()
    await grants.grant(account, NewGrant("invoice-1", 25 * 10**9, "paid"), "first")
    shown = (await inside.ask("GET", "/account/v1/budget")).json()
    assert shown["prepaid"] == {"spent_usd": "0.00", "in_flight_usd": "0.00", "remaining_usd": "25.00"}
    assert shown["limits"]["budget_usd_per_day"] == "0.00"


async def test_the_command_line_shows_a_days_ledger_whole_however_many_pages_it_takes(
    inside: Door, app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await entered(world, inside, 25)
    monkeypatch.setattr(owner_commands, "PAGE", 10)
    monkeypatch.setenv("JATEVO_SESSION", inside.bearer)

    async def printed(*arguments: str) -> str:
        assert await asyncio.to_thread(main, ["wallet", "ledger", "--day", DAY, *arguments]) == 0
        return capsys.readouterr().out

    async with served(app) as url:
        monkeypatch.setenv("JATEVO_URL", url)
        rows = list(csv.DictReader(io.StringIO(await printed("--csv"))))
        entries = json.loads(await printed("--json"))["entries"]
        lines = (await printed()).splitlines()
        status = await asyncio.to_thread(main, ["wallet", "ledger", "--csv", "--day", "2020-01-01"])
        assert (status, capsys.readouterr().out.count("\n")) == (0, 1)
        monkeypatch.setenv("JATEVO_SESSION", "jts-none")
        assert await asyncio.to_thread(main, ["wallet", "ledger", "--csv"]) == 1
        assert "not signed in" in capsys.readouterr().err
    ids = [entry["reservation_id"] for entry in entries]
    assert (len(set(ids)), [row["reservation_id"] for row in rows]) == (25, ids)
    assert len(lines) == 26
    assert lines[1].startswith("2026-11-18T11:06:40Z  key_a")

"""Operators see every route and why a request goes where it goes, drain pools, and leave a trail."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, World

from jatevo.adapters.dynamodb.audit import DynamoAudit
from jatevo.application.limits import LimitChanges
from jatevo.application.ports import StoreUnavailable
from jatevo.bootstrap import Settings
from jatevo_admin.handler import create_app

TOKEN = "an operator's token, long enough"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        settings = Settings(directory_keep_ms=0, operator_token=TOKEN)
        made = World(dynoxide, names.windows.removesuffix("-windows"), settings)
        yield made
        await made.close()


@pytest.fixture
async def admin(world: World, upstream: ScriptedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(world.gateway))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://admin/admin/v1", headers=headers) as client:
        answer = await client.put("/catalog", json={"document": document(upstream)})
        assert answer.status_code == 200, answer.text
        yield client


def document(upstream: ScriptedUpstream) -> dict[str, Any]:
    pools = [{"id": name, "base_url": upstream.base_url, "concurrency": 10} for name in ("main", "spare")]
    routes = [{"pool": name, "model": "m", "priority": at} for at, name in enumerate(("main", "spare"))]
    return {
        "pools": pools,
        "models": [MODEL | {"routes": routes}],
        "lanes": [{"id": "gold", "pools": ["main"], "guaranteed": {"main": 4}, "margin_bps": 500}],
    }


async def test_every_route_is_seen_at_a_glance(admin: httpx.AsyncClient) -> None:
    routes = (await admin.get("/routes")).json()["routes"]
    assert [(route["model"], route["pool"], route["asked"]) for route in routes] == [
        ("test-model", "main", "closed"),
        ("test-model", "spare", "closed"),
    ]
    assert routes[0]["lanes"] == [{"lane": "gold", "guaranteed": 4}, {"lane": "shared", "guaranteed": 0}]
    assert routes[1]["lanes"] == [{"lane": "shared", "guaranteed": 0}]


async def test_a_drained_pool_gets_no_requests_until_it_is_put_back(
    world: World, admin: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    customer = world.customer()
    for pool in ("main", "spare"):
        answer = await admin.post(f"/pools/{pool}/drain")
        assert answer.json()["drained_by"] == "first"
    assert [route["asked"] for route in (await admin.get("/routes")).json()["routes"]] == ["drained", "drained"]
    assert (await world.chat(customer)).status_code == 503
    assert not upstream.asked

    assert (await admin.post("/pools/spare/undrain")).json()["drained_by"] is None
    assert (await world.chat(customer)).status_code == 200
    assert (await admin.post("/pools/nowhere/drain")).status_code == 404


async def test_a_dry_run_says_where_a_request_would_go_and_why_and_sends_nothing(
    admin: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    await admin.post("/pools/main/drain")
    decided = (await admin.post("/routes/decide", json={"model": "test-model"})).json()
    assert [lane["lane"] for lane in decided["lanes"]] == ["shared"]
    told = [(route["pool"], route["place"], route["standing"]) for route in decided["lanes"][0]["routes"]]
    assert told == [("spare", 1, "well"), ("main", None, "drained")]

    refused = (await admin.post("/routes/decide", json={"model": "test-model", "lane": "gold"})).json()
    assert refused["refusal"]["code"] == "upstream_unavailable"
    refused = (await admin.post("/routes/decide", json={"model": "test-model", "fields": ["odd"]})).json()
    assert refused["refusal"]["code"] == "unsupported_parameter"
    picked = (await admin.post("/routes/decide", json={"model": "auto"})).json()
    assert picked["lanes"][0]["answered_as"] == "test-model"
    assert not upstream.asked


async def test_a_dry_run_says_of_each_route_that_cannot_take_a_request_why(
    admin: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    wanted = document(upstream)
    wanted["pools"][0] |= {"refuse_fields": ["logprobs"]}
    await admin.put("/catalog", json={"document": wanted})

    async def decided(**question: Any) -> tuple[list[str], list[tuple[str, str]]]:
        [lane] = (await admin.post("/routes/decide", json={"model": "test-model", "lane": "shared"} | question)).json()[
            "lanes"
        ]
        return [one["pool"] for one in lane["routes"]], [(one["pool"], one["why"]) for one in lane["left_out"]]

    assert await decided() == (["main", "spare"], [])
    told, [(pool, why)] = await decided(fields=["logprobs"])
    assert (told, pool, "'logprobs'" in why) == (["spare"], "main", True)
    told, [(pool, why)] = await decided(lane="gold")
    assert (told, pool, "'gold'" in why) == (["main"], "spare", True)


async def test_every_lane_shows_what_it_promises_and_what_of_it_is_in_use(
    world: World, admin: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    wanted = document(upstream)
    wanted["lanes"][0] |= {"requests_per_day": 5, "budget_usd_per_day": "2.00", "concurrency": 4}
    await admin.put("/catalog", json={"document": wanted})
    go_on, both_there = asyncio.Event(), asyncio.Event()

    async def waiting(asked: Asked, connection: Connection) -> None:
        if len(upstream.asked) == 2:
            both_there.set()
        await go_on.wait()
        await answering("fine", usage(10, 20))(asked, connection)

    async def seen() -> list[tuple[str, list[tuple[str, bool, int, int]], int | None]]:
        lanes = (await admin.get("/lanes")).json()["lanes"]
        return [
            (
                lane["lane"],
                [(one["pool"], one["own"], one["taken"], one["size"]) for one in lane["places"]],
                lane["today"] and lane["today"]["requests_left"],
            )
            for lane in lanes
        ]

    assert await seen() == [("gold", [("main", True, 0, 4)], 5), ("shared", [("main", False, 0, 6)], None)]
    upstream.script = waiting
    member = world.customer(lanes=frozenset({"gold"}))
    under_way = [
        asyncio.ensure_future(world.chat(customer, model=name))
        for customer, name in ((member, "gold/test-model"), (world.customer(), "test-model"))
    ]
    async with asyncio.timeout(20):
        await both_there.wait()
    assert await seen() == [("gold", [("main", True, 1, 4)], 4), ("shared", [("main", False, 1, 6)], None)]
    go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*under_way)] == [200, 200]
    assert await seen() == [("gold", [("main", True, 0, 4)], 4), ("shared", [("main", False, 0, 6)], None)]
    [gold, shared] = (await admin.get("/lanes")).json()["lanes"]
    assert (gold["margin_bps"], gold["models"], gold["pools"]) == (500, ["test-model"], ["main"])
    assert (gold["today"]["settled_usd"], gold["today"]["budget_limit_usd"]) == ("0.0000525", "2.00")
    assert (shared["margin_bps"], shared["pools"], shared["today"]) == (None, ["main", "spare"], None)


async def test_changes_are_kept_with_who_when_before_and_after(admin: httpx.AsyncClient) -> None:
    body = {"name": "Ada", "requests_per_day": 1, "budget_usd_per_day": "1.00"}
    account = (await admin.post("/accounts", json=body)).json()
    await admin.patch(f"/accounts/{account['account_id']}", json={"lanes": ["gold"], "zdr": True})
    await admin.patch(f"/accounts/{account['account_id']}", json={"lanes": ["gold"]})
    await admin.post("/pools/main/drain")

    changes = (await admin.get("/audit")).json()["changes"]

    told = [(change["operator"], change["action"], change["subject"]) for change in changes]
    assert told == [
        ("first", "pool.drain", "main"),
        ("first", "account.change", account["account_id"]),
        ("first", "account.create", account["account_id"]),
        ("first", "catalog.apply", "catalog"),
    ]
    assert (changes[1]["before"]["lanes"], changes[1]["after"]["lanes"]) == ([], ["gold"])
    assert changes[2]["before"] is None
    assert not any(change["unclear"] for change in changes)
    assert (await admin.get("/audit", params={"month": "1999-01"})).json() == {"changes": []}
    assert (await admin.get("/audit", params={"month": "soon"})).status_code == 400


async def test_what_was_refused_is_no_change(admin: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    wrong = document(upstream) | {"models": []}
    for method, path, body in (
        ("PATCH", "/accounts/acct_nobody", {"zdr": True}),
        ("POST", "/accounts", {"name": "Ada", "requests_per_day": -1, "budget_usd_per_day": "1.00"}),
        ("POST", "/pools/nowhere/drain", None),
        ("POST", "/operators/first/disable", None),
        ("PUT", "/catalog", {"document": wrong | {"lanes": [{"id": "no lane"}]}}),
        ("PUT", "/catalog", {"document": document(upstream)}),
        ("PUT", "/catalog", {"document": wrong, "dry_run": True}),
    ):
        await admin.request(method, path, json=body)
    assert [change["action"] for change in (await admin.get("/audit")).json()["changes"]] == ["catalog.apply"]


async def test_a_change_that_a_crash_interrupts_stays_in_the_trail_with_what_was_asked_for(
    admin: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "Ada", "requests_per_day": 1, "budget_usd_per_day": "1.00"}
    account_id = (await admin.post("/accounts", json=body)).json()["account_id"]

    async def died(*_: Any) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patch:
        patch.setattr(LimitChanges, "account_changed", died)
        assert (await admin.patch(f"/accounts/{account_id}", json={"requests_per_day": 9})).status_code == 503
    assert (await admin.get(f"/accounts/{account_id}")).json()["requests_per_day"] == 9, "it was stored before"

    last = (await admin.get("/audit")).json()["changes"][0]
    assert (last["operator"], last["action"], last["subject"]) == ("first", "account.change", account_id)
    assert (last["unclear"], last["asked"]) == (True, {"requests_per_day": 9})


async def test_nothing_is_changed_without_a_trail(admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"name": "Ada", "requests_per_day": 1, "budget_usd_per_day": "1.00"}
    account_id = (await admin.post("/accounts", json=body)).json()["account_id"]

    async def full(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("no room")

    with monkeypatch.context() as patch:
        patch.setattr(DynamoAudit, "put", full)
        answer = await admin.patch(f"/accounts/{account_id}", json={"requests_per_day": 9})
    assert (answer.status_code, "nothing was changed" in answer.json()["error"]["message"]) == (503, True)
    assert (await admin.get(f"/accounts/{account_id}")).json()["requests_per_day"] == 1


async def test_changes_at_once_follow_from_one_another_in_the_trail(admin: httpx.AsyncClient) -> None:
    """Each says what it found, not what somebody had looked at before."""
    body = {"name": "Ada", "requests_per_day": 0, "budget_usd_per_day": "1.00"}
    path = f"/accounts/{(await admin.post('/accounts', json=body)).json()['account_id']}"
    wanted = [{"requests_per_day": number} for number in range(1, 6)]
    await asyncio.gather(*(admin.patch(path, json=one) for one in wanted))

    changes = [one for one in (await admin.get("/audit")).json()["changes"] if one["action"] == "account.change"]
    found = {one["before"]["version"]: one for one in changes}
    assert sorted(found) == [1, 2, 3, 4, 5]
    for version in range(2, 6):
        assert found[version]["before"] == found[version - 1]["after"]


async def test_no_secret_is_in_the_trail(admin: httpx.AsyncClient) -> None:
    account = (
        await admin.post("/accounts", json={"name": "Ada", "requests_per_day": 1, "budget_usd_per_day": "1.00"})
    ).json()
    key = (await admin.post(f"/accounts/{account['account_id']}/keys", json={})).json()
    operator = (await admin.post("/operators", json={"name": "ada"})).json()

    trail = (await admin.get("/audit")).text

    assert key["key"] not in trail
    assert operator["token"] not in trail
    assert key["key_id"] in trail

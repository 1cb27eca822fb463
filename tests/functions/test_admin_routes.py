"""Operators see every route and why a request goes where it goes, drain pools, and leave a trail."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, World

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
    assert (await admin.get("/audit", params={"month": "1999-01"})).json() == {"changes": []}
    assert (await admin.get("/audit", params={"month": "soon"})).status_code == 400


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

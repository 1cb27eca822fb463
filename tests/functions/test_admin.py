"""
The admin API as operators and scripts meet it, on a real engine.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.administration.operators import FirstOperator
from jatevo.bootstrap import Gateway
from jatevo.domain.accounts import MAX_KEYS_PER_ACCOUNT
from jatevo_admin.guard import MAX_BODY_BYTES
from jatevo_admin.handler import create_app

TOKEN = "first-operators-own-token"
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
ACCOUNT = {"name": "Ada", "requests_per_day": 11, "budget_usd_per_day": "11.00"}
DOCUMENT: dict[str, Any] = {
    "pools": [{"id": "main", "base_url": "https://upstream.example/v1", "api_key": "env:POOL_KEY"}],
    "models": [MODEL],
}


@asynccontextmanager
async def admin_of(
    world: World, token: str = TOKEN, environment: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin app of a gateway of its own, over the world's tables."""
    gateway = Gateway(
        replace(world.settings, operator_token=token, **settings), environment or {}, clock=world.gateway.clock
    )
    transport = httpx.ASGITransport(create_app(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=AUTHORIZED) as client:
        yield client
    gateway.close()


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with admin_of(world) as client:
        yield client


async def account_of(admin: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/admin/v1/accounts", json={**ACCOUNT, **fields})
    assert answer.status_code == 201, answer.text
    account: dict[str, Any] = answer.json()
    return account


async def key_of(admin: httpx.AsyncClient, account: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = await admin.post(f"/admin/v1/accounts/{account['account_id']}/keys", json=fields)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    return error


# --- who asks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/v1/accounts", "/admin/v1/no-such-route", "/docs"])
async def test_nothing_shows_without_an_operators_token(admin: httpx.AsyncClient, path: str) -> None:
    del admin.headers["authorization"]
    for authorization in (None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN):
        headers = {} if authorization is None else {"authorization": authorization}
        for method in ("GET", "POST"):
            error = error_of(await admin.request(method, path, headers=headers, content=b"{"), 401)
            assert error["code"] == "invalid_admin_token"


async def test_there_are_no_other_routes(admin: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/admin/v1", "/admin/v1/accounts/", "/"):
        assert error_of(await admin.get(path), 404)["code"] == "not_found"
    for path, allowed in (("/admin/v1/accounts", "GET, POST"), ("/admin/v1/accounts/acct_x", "GET, PATCH")):
        answer = await admin.delete(path)
        assert error_of(answer, 405)["code"] == "method_not_allowed"
        assert answer.headers["allow"] == allowed


async def test_every_answer_has_an_id_and_is_kept_nowhere(admin: httpx.AsyncClient) -> None:
    for path in ("/admin/v1/accounts", "/nowhere"):
        answer = await admin.get(path)
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["cache-control"] == "no-store"


async def test_operators_have_tokens_of_their_own(admin: httpx.AsyncClient) -> None:
    created = (await admin.post("/admin/v1/operators", json={"name": "ada"})).json()
    assert created["token"].startswith("jto-")
    hers = {"authorization": f"Bearer {created['token']}"}
    assert (await admin.get("/admin/v1/operators", headers=hers)).status_code == 200
    listed = (await admin.get("/admin/v1/operators")).json()["operators"]
    assert [(operator["name"], operator["enabled"]) for operator in listed] == [("ada", True), ("first", True)]
    assert created["token"] not in json.dumps(listed)
    assert error_of(await admin.post("/admin/v1/operators", json={"name": "ada"}), 409)["param"] == "name"
    assert (await admin.post("/admin/v1/operators/ada/disable")).json()["enabled"] is False
    error_of(await admin.get("/admin/v1/operators", headers=hers), 401)
    assert "last enabled" in error_of(await admin.post("/admin/v1/operators/first/disable"), 409)["message"]
    error_of(await admin.post("/admin/v1/operators/nobody/disable"), 404)
    error_of(await admin.post("/admin/v1/operators", json={"name": "no spaces"}), 400)


async def test_the_first_operator_follows_its_secret_but_stays_disabled(world: World) -> None:
    async with admin_of(world) as admin:
        hers = (await admin.post("/admin/v1/operators", json={"name": "ada"})).json()["token"]
    async with admin_of(world, "another-secret-token") as admin:
        error_of(await admin.get("/admin/v1/accounts"), 401)
        admin.headers["authorization"] = "Bearer another-secret-token"
        assert (await admin.get("/admin/v1/accounts")).status_code == 200
        admin.headers["authorization"] = f"Bearer {hers}"
        assert (await admin.post("/admin/v1/operators/first/disable")).status_code == 200
    async with admin_of(world) as admin:
        error_of(await admin.get("/admin/v1/accounts"), 401)


def test_a_secret_that_could_be_guessed_is_no_token() -> None:
    with pytest.raises(ValueError, match="at least 20 characters"):
        FirstOperator("admin")


# --- bodies ---------------------------------------------------------------------------------------------------------


BAD_BODIES: list[tuple[bytes, str, str | None]] = [
    (b"", "missing_required_parameter", None),
    (b"{", "invalid_json", None),
    (b"[" * 100_000, "invalid_request", None),
    (b"[]", "invalid_type", None),
    (b"null", "invalid_type", None),
    (b"{}", "missing_required_parameter", "name"),
    (json.dumps({**ACCOUNT, "budget_usd_per_day": 11.0}).encode(), "invalid_value", "budget_usd_per_day"),
    (json.dumps({**ACCOUNT, "budget_usd_per_day": 11}).encode(), "invalid_value", "budget_usd_per_day"),
    (json.dumps({**ACCOUNT, "budget_usd_per_day": "-1"}).encode(), "invalid_value", "budget_usd_per_day"),
    (json.dumps({**ACCOUNT, "budget_usd_per_day": "0.0000000001"}).encode(), "invalid_value", "budget_usd_per_day"),
    (json.dumps({**ACCOUNT, "budget_usd_per_day": "9" * 12}).encode(), "invalid_value", "budget_usd_per_day"),
    (json.dumps({**ACCOUNT, "requests_per_day": "11"}).encode(), "invalid_type", "requests_per_day"),
    (json.dumps({**ACCOUNT, "requests_per_day": True}).encode(), "invalid_type", "requests_per_day"),
    (json.dumps({**ACCOUNT, "requests_per_day": -1}).encode(), "invalid_value", "requests_per_day"),
    (json.dumps({**ACCOUNT, "requests_per_day": 10**30}).encode(), "invalid_value", "requests_per_day"),
    (json.dumps({**ACCOUNT, "concurrency": 0}).encode(), "invalid_value", "concurrency"),
    (json.dumps({**ACCOUNT, "margin_bps": -1}).encode(), "invalid_value", "margin_bps"),
    (json.dumps({**ACCOUNT, "name": "  "}).encode(), "invalid_value", "name"),
    (json.dumps({**ACCOUNT, "name": "a\u0000b"}).encode(), "invalid_value", "name"),
    (json.dumps({**ACCOUNT, "name": "a" * 101}).encode(), "invalid_value", "name"),
    (json.dumps({**ACCOUNT, "budget": "1"}).encode(), "unsupported_parameter", "budget"),
]


async def test_a_bad_body_is_named(admin: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    for content, code, param in BAD_BODIES:
        error = error_of(await admin.post("/admin/v1/accounts", content=content, headers=headers), 400)
        assert (error["code"], error["param"]) == (code, param), (content[:100], error)
    assert (await admin.get("/admin/v1/accounts")).json() == {"accounts": [], "next": None}
    assert error_of(await admin.delete("/admin/v1/accounts"), 405)["code"] == "method_not_allowed"


async def test_a_body_that_is_too_large_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/admin/v1/accounts", content=b" " * (MAX_BODY_BYTES + 1))
    assert error_of(answer, 413)["code"] == "request_too_large"


# --- accounts -------------------------------------------------------------------------------------------------------


async def test_an_account_is_created_shown_changed_and_listed(admin: httpx.AsyncClient) -> None:
    created = await account_of(admin, concurrency=3)
    assert created | {"account_id": "", "created_at_unix_s": 0} == {
        "account_id": "",
        "name": "Ada",
        "requests_per_day": 11,
        "budget_usd_per_day": "11.00",
        "budget_nano_usd_per_day": 11 * 10**9,
        "concurrency": 3,
        "margin_bps": None,
        "enabled": True,
        "limits_from": "operator",
        "entitled_day": None,
        "lanes": [],
        "zdr": False,
        "requests_per_minute": None,
        "requests_per_month": None,
        "budget_usd_per_month": None,
        "reseller_margin_bps": None,
        "prepaid": False,
        "version": 1,
        "created_at_unix_s": 0,
    }
    path = f"/admin/v1/accounts/{created['account_id']}"
    assert (await admin.get(path)).json() == created
    change = {"budget_usd_per_day": "0.5", "margin_bps": 0, "enabled": False}
    changed = (await admin.patch(path, json=change)).json()
    assert changed == created | change | {
        "budget_usd_per_day": "0.50",
        "budget_nano_usd_per_day": 5 * 10**8,
        "version": 2,
    }
    assert (await admin.patch(path, json=change)).json() == changed
    assert (await admin.patch(path, json={"margin_bps": None})).json()["margin_bps"] is None
    other = await account_of(admin, name="Bo")
    listed = [(await admin.get("/admin/v1/accounts", params={"limit": 1})).json()]
    listed.append((await admin.get("/admin/v1/accounts", params={"limit": 1, "after": listed[0]["next"]})).json())
    assert {page["accounts"][0]["account_id"] for page in listed} == {created["account_id"], other["account_id"]}


async def test_a_bad_change_changes_nothing(admin: httpx.AsyncClient) -> None:
    created = await account_of(admin)
    path = f"/admin/v1/accounts/{created['account_id']}"
    for change in ({"name": None}, {"budget_usd_per_day": None}, {"enabled": None}, {"x": 1}, {"concurrency": 1001}):
        error_of(await admin.patch(path, json=change), 400)
    assert (await admin.get(path)).json() == created


async def test_an_unknown_account_is_not_found(admin: httpx.AsyncClient) -> None:
    path = "/admin/v1/accounts/acct_nobody"
    for method, end in (("GET", ""), ("GET", "/keys"), ("GET", "/window"), ("GET", "/ledger")):
        assert error_of(await admin.request(method, path + end), 404)["param"] == "account_id"
    error_of(await admin.patch(path, json={"name": "x"}), 404)
    error_of(await admin.post(path + "/keys", json={}), 404)


async def test_changes_at_once_all_arrive(admin: httpx.AsyncClient) -> None:
    created = await account_of(admin)
    path = f"/admin/v1/accounts/{created['account_id']}"
    changes = ({"name": "New"}, {"requests_per_day": 5}, {"concurrency": 7}, {"margin_bps": 9})
    answers = await asyncio.gather(*(admin.patch(path, json=change) for change in changes))
    assert [answer.status_code for answer in answers] == [200] * 4
    stored = (await admin.get(path)).json()
    assert (stored["name"], stored["requests_per_day"], stored["concurrency"]) == ("New", 5, 7)
    assert (stored["margin_bps"], stored["version"]) == (9, 5)


# --- keys -----------------------------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_works(
    admin: httpx.AsyncClient, world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account = await account_of(admin)
    key = await key_of(admin, account, name="laptop", models=["test-model"], budget_usd_per_day="1")
    assert key["key"].startswith("sk-clb-")
    assert len(key["key"]) == 50
    assert (key["name"], key["models"], key["unknown_models"]) == ("laptop", ["test-model"], [])
    assert (key["requests_per_day"], key["budget_usd_per_day"], key["concurrency"]) == (None, "1.00", None)
    listed = await admin.get(f"/admin/v1/accounts/{account['account_id']}/keys")
    assert key["key"] not in listed.text
    shown = {name: value for name, value in key.items() if name not in {"key", "unknown_models"}}
    assert listed.json() == {"keys": [shown]}
    answer = await chat(world, key)
    assert answer.status_code == 200
    assert error_of(await chat(world, key, model="other"), 404)["code"] == "model_not_found"


async def test_a_disabled_key_stops_at_once_and_for_good(
    admin: httpx.AsyncClient, world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account = await account_of(admin)
    key, other = await key_of(admin, account), await key_of(admin, account)
    assert (await chat(world, key)).status_code == 200
    for _ in range(2):
        disabled = (await admin.post(f"/admin/v1/keys/{key['key_id']}/disable")).json()
        assert disabled["enabled"] is False
        assert disabled["disabled_at_unix_s"] is not None
    assert error_of(await chat(world, key), 403)["code"] == "key_disabled"
    assert (await chat(world, other)).status_code == 200
    path = f"/admin/v1/accounts/{account['account_id']}"
    assert (await admin.get(path)).json()["version"] == 2
    window = (await admin.get(f"{path}/window")).json()
    assert window["blocked"] == [key["key_id"].removeprefix("key_")]
    assert window["limits_version"] == 2
    error_of(await admin.patch(f"/admin/v1/keys/{key['key_id']}", json={"name": "again"}), 409)
    error_of(await admin.post("/admin/v1/keys/key_nobody/disable"), 404)


async def test_caps_of_a_key_are_set_and_removed(
    admin: httpx.AsyncClient, world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account = await account_of(admin)
    key = await key_of(admin, account)
    path = f"/admin/v1/keys/{key['key_id']}"
    assert (await admin.patch(path, json={"requests_per_day": 1})).json()["requests_per_day"] == 1
    assert (await chat(world, key)).status_code == 200
    assert error_of(await chat(world, key), 429)["code"] == "request_quota_exhausted"
    assert (await admin.patch(path, json={"requests_per_day": 2})).json()["requests_per_day"] == 2
    assert (await chat(world, key)).status_code == 200
    error_of(await chat(world, key), 429)
    changed = (await admin.patch(path, json={"requests_per_day": None, "name": "free"})).json()
    assert (changed["requests_per_day"], changed["name"]) == (None, "free")
    assert (await chat(world, key)).status_code == 200


async def test_a_bad_key_is_not_created(admin: httpx.AsyncClient) -> None:
    account = await account_of(admin)
    path = f"/admin/v1/accounts/{account['account_id']}/keys"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"models": []}, "models"),
        ({"models": ["a b"]}, "models"),
        ({"models": "test-model"}, "models"),
        ({"models": [f"m{number}" for number in range(101)]}, "models"),
        ({"expires_at_unix_s": 5}, "expires_at_unix_s"),
        ({"expires_at_unix_s": 10**12}, "expires_at_unix_s"),
        ({"requests_per_day": -1}, "requests_per_day"),
        ({"budget_usd_per_day": "x"}, "budget_usd_per_day"),
        ({"concurrency": 0}, "concurrency"),
        ({"key": "sk-clb-mine"}, "key"),
    ]
    for fields, param in bad:
        assert error_of(await admin.post(path, json=fields), 400)["param"] == param
    assert (await admin.get(path)).json() == {"keys": []}


async def test_a_model_that_is_not_sold_is_pointed_out(admin: httpx.AsyncClient) -> None:
    key = await key_of(admin, await account_of(admin), models=["test-model", "tset-model"])
    assert key["unknown_models"] == ["tset-model"]


async def test_the_number_of_keys_is_bounded(admin: httpx.AsyncClient) -> None:
    account = await account_of(admin)
    path = f"/admin/v1/accounts/{account['account_id']}/keys"
    answers = await asyncio.gather(*(admin.post(path, json={}) for _ in range(MAX_KEYS_PER_ACCOUNT)))
    assert {answer.status_code for answer in answers} == {201}
    assert "disable one first" in error_of(await admin.post(path, json={}), 409)["message"]


# --- catalogue ------------------------------------------------------------------------------------------------------


async def test_a_catalogue_is_applied_once_and_compared(admin: httpx.AsyncClient) -> None:
    before = (await admin.get("/admin/v1/catalog")).json()["version"]
    cheaper = json.loads(json.dumps(DOCUMENT))
    cheaper["models"][0]["price"]["input"] = "0.50"
    dry = (await admin.put("/admin/v1/catalog", json={"document": cheaper, "dry_run": True})).json()
    assert (dry["version"], dry["changed"], dry["dry_run"]) == (before, False, True)
    assert "~ model test-model: price.input 1.00 → 0.50" in dry["difference"]
    applied = (await admin.put("/admin/v1/catalog", json={"document": cheaper})).json()
    assert (applied["version"], applied["changed"], applied["difference"]) == (before + 1, True, dry["difference"])
    again = (await admin.put("/admin/v1/catalog", json={"document": cheaper})).json()
    assert again == {"version": before + 1, "changed": False, "dry_run": False, "difference": []}
    shown = (await admin.get("/admin/v1/catalog")).json()
    assert (shown["version"], shown["document"], shown["applied_by"]) == (before + 1, cheaper, "first")
    assert (await admin.get("/admin/v1/catalog", params={"version": before})).json()["version"] == before
    error_of(await admin.get("/admin/v1/catalog", params={"version": before + 2}), 404)
    error_of(await admin.get("/admin/v1/catalog", params={"version": 0}), 400)


async def test_a_bad_catalogue_is_refused_with_all_its_problems(admin: httpx.AsyncClient) -> None:
    before = (await admin.get("/admin/v1/catalog")).json()
    bad = json.loads(json.dumps(DOCUMENT))
    bad["pools"][0]["base_url"] = "https://${UNKNOWN_HOST}/v1"
    bad["models"][0]["price"]["input"] = -1
    bad["models"][0]["routes"][0]["pool"] = "gone"
    error = error_of(await admin.put("/admin/v1/catalog", json={"document": bad}), 400)
    assert error["code"] == "invalid_catalogue"
    assert [problem.partition(":")[0] for problem in error["problems"]] == [
        "pools[0].base_url",
        "models[0].price.input",
        "models[0].routes[0].pool",
    ]
    assert "UNKNOWN_HOST" in error["problems"][0]
    assert (await admin.get("/admin/v1/catalog")).json() == before


async def test_a_document_of_another_shape_is_refused(admin: httpx.AsyncClient) -> None:
    shapes: list[Any] = [
        {},
        {"pools": [1]},
        {"pools": {}},
        {"models": None},
        {"pools": [{"base_url": []}]},
        [],
        "",
        None,
    ]
    for document in shapes:
        error_of(await admin.put("/admin/v1/catalog", json={"document": document}), 400)


async def test_a_catalogue_that_one_item_cannot_hold_is_refused(admin: httpx.AsyncClient) -> None:
    names = [f"field_{number:057}" for number in range(100)]
    pools = [{**DOCUMENT["pools"][0], "id": f"p{number}", "pass_fields": names} for number in range(100)]
    document = {"pools": [*DOCUMENT["pools"], *pools], "models": DOCUMENT["models"]}
    error = error_of(await admin.put("/admin/v1/catalog", json={"document": document}), 400)
    assert "larger than" in error["message"]


async def test_addresses_of_this_machine_are_filled_in(world: World) -> None:
    known = {"JATEVO_LOCAL_MODEL_URL": "http://127.0.0.1:8001/v1"}
    async with admin_of(world, environment=known) as admin:
        document = json.loads(json.dumps(DOCUMENT))
        document["pools"][0]["base_url"] = "${JATEVO_LOCAL_MODEL_URL}"
        assert (await admin.put("/admin/v1/catalog", json={"document": document})).json()["changed"]
        shown = (await admin.get("/admin/v1/catalog")).json()["document"]
        assert shown["pools"][0]["base_url"] == "http://127.0.0.1:8001/v1"
        assert not (await admin.put("/admin/v1/catalog", json={"document": document})).json()["changed"]


async def test_before_the_first_catalogue_there_is_none(dynoxide: str, tables: TableNames) -> None:
    world = World(dynoxide, tables.windows.removesuffix("-windows"))
    async with admin_of(world) as admin:
        error_of(await admin.get("/admin/v1/catalog"), 404)
        applied = (await admin.put("/admin/v1/catalog", json={"document": DOCUMENT})).json()
        assert (applied["version"], applied["changed"]) == (1, True)
    await world.close()


# --- the books ------------------------------------------------------------------------------------------------------


async def test_window_and_ledger_agree(admin: httpx.AsyncClient, world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account = await account_of(admin, margin_bps=1000)
    path = f"/admin/v1/accounts/{account['account_id']}"
    fresh = (await admin.get(f"{path}/window")).json()
    assert (fresh["requests_left"], fresh["budget_left_nano_usd"], fresh["open"]) == (11, 11 * 10**9, {})
    key = await key_of(admin, account)
    for _ in range(3):
        assert (await chat(world, key)).status_code == 200
    window = (await admin.get(f"{path}/window")).json()
    ledger = (await admin.get(f"{path}/ledger")).json()
    charge = 55_000
    assert (window["requests_limit"], window["requests_left"]) == (11, 8)
    assert (window["settled_nano_usd"], window["budget_left_nano_usd"]) == (3 * charge, 11 * 10**9 - 3 * charge)
    assert window["day"] == world.today()
    assert ledger["next"] is None
    assert [entry["charge_nano_usd"] for entry in ledger["entries"]] == [charge] * 3
    entry = ledger["entries"][0]
    assert (entry["outcome"], entry["key_id"], entry["model"]) == ("charged", key["key_id"], "test-model")
    assert (entry["input_tokens"], entry["output_tokens"], entry["usage_source"]) == (10, 20, "reported")
    assert (entry["cost_nano_usd"], entry["margin_nano_usd"]) == (50_000, 5_000)
    statement = (await admin.get(f"{path}/statement")).json()
    assert statement["total"] == statement["models"]["test-model"]
    assert (statement["total"]["requests"], statement["total"]["output_tokens"]) == (3, 60)
    assert (statement["total"]["cost_usd"], statement["total"]["margin_usd"]) == ("0.00015", "0.000015")
    assert statement["total"]["charge_usd"] == "0.000165"
    first = (await admin.get(f"{path}/ledger", params={"limit": 2})).json()
    rest = (await admin.get(f"{path}/ledger", params={"limit": 2, "after": first["next"]})).json()
    assert first["entries"] + rest["entries"] == ledger["entries"]
    assert rest["next"] is None


async def test_new_limits_reach_the_window_that_is_open(
    admin: httpx.AsyncClient, world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    account = await account_of(admin, requests_per_day=1, margin_bps=0)
    path = f"/admin/v1/accounts/{account['account_id']}"
    key = await key_of(admin, account)
    assert (await chat(world, key)).status_code == 200
    error_of(await chat(world, key), 429)
    await admin.patch(path, json={"requests_per_day": 2, "budget_usd_per_day": "5"})
    window = (await admin.get(f"{path}/window")).json()
    assert (window["requests_limit"], window["requests_left"]) == (2, 1)
    assert window["budget_left_nano_usd"] == 5 * 10**9 - 50_000
    assert (await chat(world, key)).status_code == 200
    await admin.patch(path, json={"enabled": False})
    error_of(await chat(world, key), 403)
    await admin.patch(path, json={"enabled": True, "requests_per_day": 3})
    assert (await chat(world, key)).status_code == 200


async def test_only_days_that_were_used_have_a_window(admin: httpx.AsyncClient) -> None:
    account = await account_of(admin)
    path = f"/admin/v1/accounts/{account['account_id']}"
    assert error_of(await admin.get(f"{path}/window", params={"day": "2020-01-01"}), 404)["param"] == "day"
    assert (await admin.get(f"{path}/ledger", params={"day": "2020-01-01"})).json() == {"entries": [], "next": None}
    for day in ("yesterday", "2026-13-01", "20261123", "2026-1-1", "2026-11-23T00:00"):
        for end in ("window", "ledger"):
            error_of(await admin.get(f"{path}/{end}", params={"day": day}), 400)
    for limit in ("0", "1001", "x"):
        error_of(await admin.get(f"{path}/ledger", params={"limit": limit}), 400)


async def test_the_sweeper_runs_on_demand(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream) -> None:
    clock = ManualClock()
    world = World(dynoxide, tables.windows.removesuffix("-windows"), clock=clock)
    async with admin_of(world) as admin:
        nothing = {"windows": 0, "expired": 0, "applied": 0, "failed": 0}
        assert (await admin.post("/admin/v1/sweep")).json() == nothing
        assert (await admin.post("/admin/v1/sweep", json={"full": True})).json() == nothing
        error_of(await admin.post("/admin/v1/sweep", json={"all": True}), 400)
    await world.close()


async def test_a_store_that_is_down_is_said(admin: httpx.AsyncClient, world: World) -> None:
    async with admin_of(world, dynamodb_endpoint="http://127.0.0.1:9") as down:
        error = error_of(await down.get("/admin/v1/accounts"), 503)
    assert (error["type"], error["code"]) == ("api_error", "store_unavailable")


async def chat(world: World, key: dict[str, Any], **fields: Any) -> httpx.Response:
    body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100, **fields}
    headers = {"authorization": f"Bearer {key['key']}"}
    return await world.client.post("/v1/chat/completions", json=body, headers=headers)

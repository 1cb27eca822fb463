"""What a key is told of the models it may use and of what it has used; nobody else is told anything."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import openai
import pytest
from jatevo_testing.refusals import refused
from jatevo_testing.served import served
from jatevo_testing.tables import put_account, put_key
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, completion, usage
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.application.ports import StoreUnavailable
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import iso_instant, next_reset_unix_s
from jatevo.domain.windows import Limits
from jatevo_account.handler import create_app

BIG_MODEL: dict[str, Any] = MODEL | {
    "id": "big-model",
    "price": {
        "input": "2.00",
        "cached_input": "0.20",
        "output": "8.00",
        "reasoning": "9.00",
        "image_input": "4.00",
        "request": "0.001",
        "long_context": {"threshold_tokens": 4000, "input_multiplier": "2", "output_multiplier": "1.5"},
    },
    "estimate": {"image_tokens": 1000},
}
ROUTES = ("/v1/models", "/v1/models/test-model", "/v1/usage")
COUNTERS = {
    "x-ratelimit-limit-requests": "11",
    "x-ratelimit-remaining-requests": "11",
    "x-jatevo-budget-limit-usd": "11.00",
    "x-jatevo-budget-remaining-usd": "11.00",
}

type Account = Callable[[Customer], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def account(world: World, upstream: ScriptedUpstream) -> Account:
    """Opens clients of the account app, for a customer of `world`, whose catalogue has two models."""
    world.apply_catalogue(MODEL, BIG_MODEL, base_url=upstream.base_url)
    transport = httpx.ASGITransport(create_app(world.gateway), raise_app_exceptions=False)

    @asynccontextmanager
    async def open_client(customer: Customer) -> AsyncIterator[httpx.AsyncClient]:
        headers = customer.headers
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
            yield client

    return open_client


async def test_models_are_listed_in_openais_shape_with_what_this_account_pays(world: World, account: Account) -> None:
    async with account(world.customer(margin_bps=1000)) as client:
        answer = await client.get("/v1/models")

    assert answer.status_code == 200
    listed = answer.json()
    assert listed["object"] == "list"
    big, test = listed["data"]
    assert (big["id"], test["id"]) == ("big-model", "test-model")
    assert test == {
        "id": "test-model",
        "object": "model",
        "created": 0,
        "owned_by": "jatevo",
        "context_window": 8192,
        "max_output_tokens": 2048,
        "input_modalities": ["text"],
        "pricing": {
            "currency": "USD",
            "per_tokens": 1_000_000,
            "input": "1.10",
            "cached_input": "0.11",
            "cache_write": "1.10",
            "output": "2.20",
            "reasoning": "2.20",
        },
    }
    assert big["input_modalities"] == ["text", "image"]
    assert big["pricing"]["image_input"] == "4.40"
    assert big["pricing"]["request"] == "0.0011"
    assert big["pricing"]["long_context"]["above_input_tokens"] == 4000
    assert big["pricing"]["long_context"]["input"] == "4.40"
    assert big["pricing"]["long_context"]["reasoning"] == "14.85"


async def test_a_price_is_what_a_request_is_charged(world: World, upstream: ScriptedUpstream, account: Account) -> None:
    upstream.script = answering("x", usage(20, 500))
    customer = world.customer(margin_bps=730)
    async with account(customer) as client:
        pricing = (await client.get("/v1/models/test-model")).json()["pricing"]

    answer = await world.chat(customer, max_tokens=500)

    femto_usd = 20 * _nano(pricing["input"]) + 500 * _nano(pricing["output"])
    assert _nano(answer.json()["usage"]["cost_usd"]) * 10**6 == femto_usd


async def test_an_account_without_a_margin_of_its_own_is_shown_the_gateways(world: World, account: Account) -> None:
    async with account(world.customer()) as client:
        model = (await client.get("/v1/models/test-model")).json()

    assert world.settings.margin_bps == 1000
    assert model["pricing"]["input"] == "1.10"


async def test_a_key_sees_only_the_models_it_may_use(world: World, account: Account) -> None:
    async with account(world.customer(models=frozenset({"big-model", "gone-model"}))) as client:
        listed = await client.get("/v1/models")
        mine = await client.get("/v1/models/big-model")
        other = await client.get("/v1/models/test-model")
        unknown = await client.get("/v1/models/lane/no-model")
        gone = await client.get("/v1/models/gone-model")

    assert [model["id"] for model in listed.json()["data"]] == ["big-model"]
    assert mine.json() == listed.json()["data"][0]
    refused(other, 403, "model_not_allowed", kind="permission_error", param="model")
    refused(unknown, 404, "model_not_found", param="model")
    refused(gone, 404, "model_not_found", param="model")
    assert "'lane/no-model'" in unknown.text
    for answer in (listed, mine, other, unknown, gone):
        assert COUNTERS.items() <= dict(answer.headers).items()
        assert answer.headers["x-request-id"].startswith("req_")


async def test_nothing_internal_shows(world: World, upstream: ScriptedUpstream, account: Account) -> None:
    async with account(world.customer(models=frozenset({"test-model"}))) as client:
        for path in (*ROUTES, "/v1/models/big-model", "/v1/models/none", "/v1/nothing", "/v1/models/"):
            answer = await client.get(path)
            for hidden in ("secret", '"main"', upstream.base_url, "margin", "pool"):
                assert hidden not in answer.text + str(answer.headers), path


async def test_reading_costs_no_quota(world: World, account: Account) -> None:
    customer = world.customer(requests=1)
    async with account(customer) as client:
        for path in ROUTES * 3:
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-remaining-requests"] == "1"

    assert await world.gateway.windows.read(account_window(customer.account.id, world.today())) is None
    assert not await world.ledger(customer)


@pytest.mark.parametrize("path", ROUTES)
async def test_without_a_good_key_nothing_is_told(world: World, account: Account, path: str) -> None:
    customer = world.customer()
    off = world.key_of(customer.account, enabled=False)
    old = world.key_of(customer.account, expires_at_unix_s=1)
    async with account(customer) as client:
        missing = await client.get(path, headers={"authorization": ""})
        malformed = await client.get(path, headers={"authorization": "Bearer sk-clb-short"})
        other = customer.secret[:-1] + ("_" if customer.secret.endswith("-") else "-")
        unknown = await client.get(path, headers={"authorization": f"Bearer {other}"})
        disabled = await client.get(path, headers=off.headers)
        expired = await client.get(path, headers=old.headers)

    for answer in (missing, malformed, unknown):
        refused(answer, 401, "invalid_api_key")
        assert "x-ratelimit-limit-requests" not in answer.headers
    for answer in (disabled, expired):
        refused(answer, 403, "key_disabled", kind="permission_error")
    for answer in (missing, malformed, unknown, disabled, expired):
        assert customer.secret not in answer.text


async def test_a_key_blocked_in_the_window_is_refused_whatever_is_cached(world: World, account: Account) -> None:
    customer = world.customer()
    await world.chat(customer, max_tokens=1)
    await world.gateway.windows.block(account_window(customer.account.id, world.today()), customer.key.ref)

    async with account(customer) as client:
        for path in ROUTES:
            refused(await client.get(path), 403, "key_disabled", kind="permission_error")


async def test_usage_before_any_request_is_all_zero(world: World, account: Account) -> None:
    async with account(world.customer()) as client:
        answer = await client.get("/v1/usage")

    reset_at = iso_instant(next_reset_unix_s(world.gateway.clock.now_ms() // 1000))
    assert answer.json() == {
        "request_count": 0,
        "total_tokens": 0,
        "total_cost_usd": "0.00",
        "limits": [
            {
                "limit_type": "requests",
                "limit_window": "daily",
                "max_value": 11,
                "current_value": 0,
                "remaining_value": 11,
                "reset_at": reset_at,
                "scope": "account",
            },
            {
                "limit_type": "budget_usd",
                "limit_window": "daily",
                "max_value": "11.00",
                "current_value": "0.00",
                "remaining_value": "11.00",
                "reset_at": reset_at,
                "scope": "account",
            },
        ],
        "account": {
            "requests_limit": 11,
            "requests_used": 0,
            "requests_remaining": 11,
            "requests_in_flight": 0,
            "concurrency_limit": 64,
            "budget_limit_usd": "11.00",
            "budget_spent_usd": "0.00",
            "budget_in_flight_usd": "0.00",
            "budget_remaining_usd": "11.00",
            "reset_at": reset_at,
        },
        "key": None,
    }
    assert COUNTERS.items() <= dict(answer.headers).items()
    assert answer.headers["cache-control"] == "no-store"


async def test_sums_are_the_keys_own_and_limits_the_accounts(
    world: World, upstream: ScriptedUpstream, account: Account
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    customer = world.customer(margin_bps=0)
    sibling = world.key_of(customer.account)
    for _ in range(2):
        await world.chat(customer, max_tokens=100)
    await world.chat(sibling, max_tokens=100)

    async with account(customer) as client:
        mine = (await client.get("/v1/usage")).json()
        other = (await client.get("/v1/usage", headers=sibling.headers)).json()

    assert (mine["request_count"], mine["total_tokens"], mine["total_cost_usd"]) == (2, 60, "0.0001")
    assert (other["request_count"], other["total_tokens"], other["total_cost_usd"]) == (1, 30, "0.00005")
    assert mine["limits"] == other["limits"]
    requests, budget = mine["limits"]
    assert (requests["current_value"], requests["remaining_value"]) == (3, 8)
    assert (budget["current_value"], budget["remaining_value"]) == ("0.00015", "10.99985")


async def test_a_refused_request_leaves_no_trace_in_the_sums(
    world: World, upstream: ScriptedUpstream, account: Account
) -> None:
    async def overloaded(_asked: Asked, connection: Connection) -> None:
        await connection.reply(429, {"error": {"message": "busy"}})

    upstream.script = overloaded
    customer = world.customer()
    assert (await world.chat(customer, max_tokens=10)).status_code in {502, 503}

    async with account(customer) as client:
        shown = (await client.get("/v1/usage")).json()

    assert (shown["request_count"], shown["total_cost_usd"]) == (0, "0.00")
    assert shown["account"]["requests_used"] == 0


async def test_what_is_in_flight_shows_as_used_and_apart(
    world: World, upstream: ScriptedUpstream, account: Account
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_asked: Asked, connection: Connection) -> None:
        arrived.set()
        await go_on.wait()
        await connection.reply(200, completion("done", usage(1, 1)))

    upstream.script = slow
    customer = world.customer(margin_bps=0)
    pending = asyncio.create_task(world.chat(customer, max_tokens=1000))
    await arrived.wait()
    async with account(customer) as client:
        during = (await client.get("/v1/usage")).json()
        go_on.set()
        await pending
        after = (await client.get("/v1/usage")).json()

    held = (await world.ledger(customer))[0].reserved_nano_usd
    assert during["request_count"] == 0
    assert during["account"]["requests_in_flight"] == 1
    assert during["account"]["requests_remaining"] == 10
    assert during["account"]["budget_spent_usd"] == "0.00"
    assert _nano(during["account"]["budget_in_flight_usd"]) == held
    assert _nano(during["limits"][1]["current_value"]) == held
    assert _nano(during["limits"][1]["remaining_value"]) == 11 * USD - held
    assert after["request_count"] == 1
    assert after["account"]["requests_in_flight"] == 0
    assert after["account"]["budget_spent_usd"] == after["total_cost_usd"] == "0.000003"


async def test_a_keys_own_caps_have_rows_of_their_own(
    world: World, upstream: ScriptedUpstream, account: Account
) -> None:
    upstream.script = answering("hello", usage(10, 20))
    customer = world.customer(margin_bps=0, caps=Limits(requests=3))
    rich = world.key_of(customer.account, caps=Limits(budget_nano_usd=USD, concurrency=2))
    await world.chat(customer, max_tokens=100)

    async with account(customer) as client:
        capped = (await client.get("/v1/usage")).json()
        other = (await client.get("/v1/usage", headers=rich.headers)).json()

    kinds = [(row["scope"], row["limit_type"]) for row in capped["limits"]]
    assert kinds == [("account", "requests"), ("account", "budget_usd"), ("key", "requests")]
    assert (capped["limits"][2]["max_value"], capped["limits"][2]["remaining_value"]) == (3, 2)
    assert capped["key"]["budget_limit_usd"] is None
    assert capped["key"]["budget_remaining_usd"] is None
    assert capped["key"]["budget_spent_usd"] == "0.00005"
    assert other["limits"][2]["limit_type"] == "budget_usd"
    assert other["limits"][2]["remaining_value"] == "1.00"
    assert other["key"]["requests_limit"] is None
    assert other["key"]["concurrency_limit"] == 2


async def test_a_limit_lowered_below_what_was_used_leaves_nothing_rather_than_less(
    world: World, account: Account
) -> None:
    customer = world.customer()
    for _ in range(3):
        await world.chat(customer, max_tokens=10)
    window = await world.window(customer)
    lower = dataclasses.replace(customer.account, limits=Limits(2, 1, 64), version=2)
    put_account(world.dynamodb, world.names, lower)
    await world.gateway.windows.adjust(window, lower.limits, 2)

    async with account(customer) as client:
        answer = await client.get("/v1/usage")

    requests, budget = answer.json()["limits"]
    assert (requests["max_value"], requests["current_value"], requests["remaining_value"]) == (2, 3, 0)
    assert budget["remaining_value"] == "0.00"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", f"/v1/models/{'x' * 20_000}", 404, "model_not_found"),
        ("GET", "/v1/models/%00%ff", 404, "model_not_found"),
        ("GET", "/v1/usage/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/openapi.json", 404, "not_found"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/test-model", 405, "method_not_allowed"),
        ("PUT", "/v1/usage", 405, "method_not_allowed"),
    ],
)
async def test_errors_of_the_framework_have_our_shape(
    world: World, account: Account, method: str, path: str, status: int, code: str
) -> None:
    async with account(world.customer()) as client:
        answer = await client.request(method, path, content=b"{")

    refused(answer, status, code, param="model" if code == "model_not_found" else None)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(("failure", "status"), [(StoreUnavailable("aws said no"), 503), (KeyError("inner"), 500)])
async def test_a_failure_inside_is_an_error_in_our_shape_that_tells_nothing(
    world: World, account: Account, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int
) -> None:
    async def fail(*_args: object) -> None:
        raise failure

    async with account(world.customer()) as client:
        monkeypatch.setattr(world.gateway.counters, "of_account", fail)
        answer = await client.get("/v1/usage")

    refused(answer, status, "service_unavailable" if status == 503 else "internal_error", kind="api_error")
    assert "aws" not in answer.text
    assert "inner" not in answer.text


async def test_the_openai_sdk_lists_and_retrieves_models(world: World, account: Account) -> None:
    customer = world.customer(models=frozenset({"test-model"}))
    async with account(customer), served(create_app(world.gateway)) as url:
        async with openai.AsyncOpenAI(api_key=customer.secret, base_url=f"{url}/v1") as client:
            listed = [model async for model in client.models.list()]
            model = await client.models.retrieve("test-model")
            with pytest.raises(openai.PermissionDeniedError) as denied:
                await client.models.retrieve("big-model")
            with pytest.raises(openai.NotFoundError) as missing:
                await client.models.retrieve("lane/none")
        async with openai.AsyncOpenAI(api_key="sk-clb-wrong", base_url=f"{url}/v1") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()

    assert listed == [model]
    assert (model.id, model.object, model.owned_by) == ("test-model", "model", "jatevo")
    assert model.model_extra is not None
    assert model.model_extra["context_window"] == 8192
    assert denied.value.code == "model_not_allowed"
    assert missing.value.code == "model_not_found"
    assert "'lane/none'" in missing.value.message


async def test_usage_survives_a_server_over_http(world: World, account: Account) -> None:
    customer = world.customer()
    await world.chat(customer, max_tokens=5)
    async with account(customer), served(create_app(world.gateway)) as url, httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/v1/usage", headers=customer.headers)

    assert answer.json()["request_count"] == 1
    assert answer.headers["content-type"] == "application/json"


async def test_a_renamed_key_keeps_its_sums(world: World, account: Account) -> None:
    customer = world.customer()
    await world.chat(customer, max_tokens=5)
    put_key(world.dynamodb, world.names, dataclasses.replace(customer.key, name="renamed", caps_version=2))

    async with account(customer) as client:
        assert (await client.get("/v1/usage")).json()["request_count"] == 1


def _nano(usd: str) -> int:
    whole, _, fraction = usd.partition(".")
    return int(whole) * USD + int(fraction.ljust(9, "0"))

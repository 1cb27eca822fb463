"""Keys, models and routes: who is refused before a body is looked at, and what stays hidden from them."""

import dataclasses
from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import nothing_reserved, refused, untouched
from jatevo_testing.served import served
from jatevo_testing.tables import put_account
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import Customer, World

from jatevo.domain import api_keys

BODY: dict[str, Any] = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}
UNKNOWN = api_keys.compose(bytes(api_keys.SECRET_BYTES))
MISTYPED = UNKNOWN[:20] + ("B" if UNKNOWN[20] != "B" else "C") + UNKNOWN[21:]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        UNKNOWN,
        f"Basic {UNKNOWN}",
        f"Bearer {UNKNOWN}",
        f"Bearer {MISTYPED}",
        f"Bearer {UNKNOWN}x",
        f"Bearer {UNKNOWN[:-1]}",
        f"Bearer {UNKNOWN} {UNKNOWN}",
        "Bearer sk-proj-abcdef",
        "Bearer sk-clb-" + "é" * 43,
        "Bearer " + "x" * 50_000,
    ],
)
async def test_a_key_that_is_missing_malformed_or_unknown_is_401_and_never_repeated(
    lasting_world: World, authorization: str | None
) -> None:
    headers = {} if authorization is None else {b"authorization": authorization.encode("latin-1")}

    answer = await lasting_world.client.post("/v1/chat/completions", json=BODY, headers=headers)

    error = refused(answer, 401, "invalid_api_key")
    assert "API key" in error["message"]
    assert UNKNOWN not in answer.text
    assert not [name for name in answer.headers if name.startswith(("x-ratelimit", "x-jatevo"))]


async def test_a_key_in_a_body_without_the_header_is_no_key(lasting_world: World) -> None:
    customer = lasting_world.customer()

    answer = await lasting_world.client.post("/v1/chat/completions", json=BODY | {"api_key": customer.secret})

    refused(answer, 401, "invalid_api_key")


async def test_a_disabled_key_is_403(lasting_world: World) -> None:
    customer = lasting_world.key_of(lasting_world.customer().account, enabled=False)

    answer = await lasting_world.chat(customer)

    error = refused(answer, 403, "key_disabled", kind="permission_error")
    assert "disabled" in error["message"]
    await nothing_reserved(lasting_world, customer)


async def test_an_expired_key_is_403(lasting_world: World) -> None:
    expired = lasting_world.gateway.clock.now_ms() // 1000
    customer = lasting_world.key_of(lasting_world.customer().account, expires_at_unix_s=expired)

    answer = await lasting_world.chat(customer)

    error = refused(answer, 403, "key_disabled", kind="permission_error")
    assert "expired" in error["message"]
    await nothing_reserved(lasting_world, customer)


async def test_a_key_of_a_disabled_account_is_403(lasting_world: World) -> None:
    customer = lasting_world.customer()
    disabled = dataclasses.replace(customer.account, enabled=False, version=2)
    put_account(lasting_world.dynamodb, lasting_world.names, disabled)

    answer = await lasting_world.chat(customer)

    error = refused(answer, 403, "key_disabled", kind="permission_error")
    assert "account" in error["message"]
    await nothing_reserved(lasting_world, customer)


async def test_a_bad_key_is_refused_before_the_body_is_judged(lasting_world: World) -> None:
    answer = await lasting_world.client.post("/v1/chat/completions", content=b"{")

    refused(answer, 401, "invalid_api_key")


async def test_an_unknown_model_is_404_and_a_forbidden_one_403(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(models=frozenset({"flat-model"}))

    unknown = await lasting_world.chat(customer, model="gpt-unknown")
    forbidden = await lasting_world.chat(customer, model="test-model")

    for answer in (unknown, forbidden):
        untouched(answer, customer)
    assert "GET /v1/models" in refused(unknown, 404, "model_not_found", param="model")["message"]
    refused(forbidden, 403, "model_not_allowed", kind="permission_error", param="model")
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


@pytest.mark.parametrize("name", ["secret-upstream-model", "main", "main/secret-upstream-model", "main/auto"])
async def test_names_of_pools_and_of_upstream_models_are_as_unknown_as_any(lasting_world: World, name: str) -> None:
    customer = lasting_world.customer()

    answer = await lasting_world.chat(customer, model=name)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/chat", "/v1/completions", "/v1/chat/completions/x", "/v1//chat"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_route_is_404(lasting_world: World, method: str, path: str) -> None:
    answer = await lasting_world.client.request(method, path)

    refused(answer, 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_the_chat_route_takes_post_only(lasting_world: World, method: str) -> None:
    answer = await lasting_world.client.request(method, "/v1/chat/completions")

    error = refused(answer, 405, "method_not_allowed")
    assert "POST" in error["message"]
    assert answer.headers["allow"] == "POST"


async def test_an_upgrade_is_426_from_a_real_server(lasting_world: World) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    async with served(lasting_world.app) as base_url, httpx.AsyncClient(base_url=base_url) as client:
        answer = await client.get("/v1/chat/completions", headers=headers)

    error = refused(answer, 426, "upgrade_unsupported")
    assert "POST" in error["message"]
    assert answer.headers["upgrade"] == "HTTP/1.1"
    assert "upgrade" in answer.headers["connection"]


async def test_a_key_stays_refused_after_many_tries_and_a_good_one_beside_it_works(lasting_world: World) -> None:
    customer = lasting_world.customer()
    bad = Customer(customer.account, customer.key, UNKNOWN)

    for _ in range(20):
        refused(await lasting_world.chat(bad), 401, "invalid_api_key")

    assert (await lasting_world.chat(customer)).status_code == 200


async def test_a_key_with_ip_ranges_works_from_them_only_whatever_is_forwarded(world: World) -> None:
    near = world.key_of(world.customer().account, ip_ranges=frozenset({"127.0.0.0/8"}))
    far = world.key_of(near.account, ip_ranges=frozenset({"203.0.113.0/24", "2001:db8::/32"}))
    assert (await world.chat(near)).status_code == 200
    answer = await world.chat(far)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ip_not_allowed")
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"):
        headers = far.headers | {name: "203.0.113.7"}
        answer = await world.client.post("/v1/chat/completions", json={}, headers=headers)
        assert answer.json()["error"]["code"] == "ip_not_allowed"

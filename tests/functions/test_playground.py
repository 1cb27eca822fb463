"""The playground: visitors within tiny limits, keys and sessions on their own account, and nobody on another's."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import ORIGIN, SITE, Door, EvmPerson, door
from jatevo_testing.refusals import refused
from jatevo_testing.tables import fresh_tables, put_account
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, USD, World

from jatevo.application.playground import ACCOUNT_ID, KEY_ID
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import LimitsFrom
from jatevo.domain.sessions import compose, csrf_token
from jatevo.domain.windows import Limits
from jatevo_account.handler import create_app as account_app

PATH = "/playground/v1/chat/completions"
OTHER_MODEL = MODEL | {"id": "other-model"}
COOKIE = "__Host-jatevo-session"
ON = Settings(
    directory_keep_ms=0,
    public_url=SITE,
    playground="on",
    playground_requests_per_day=8,
    playground_visitor_requests_per_day=2,
    playground_models="test-model",
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream, clock: ManualClock) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        made = World(dynoxide, names.windows.removesuffix("-windows"), ON, clock)
        made.apply_catalogue(MODEL, OTHER_MODEL, base_url=upstream.base_url)
        yield made
        await made.close()


@pytest.fixture
async def inside(world: World) -> AsyncIterator[Door]:
    """The account app as somebody sees it who is signed in, whose account may ask eleven times."""
    async with door(account_app(world.gateway)) as outside:
        signed_in = await outside.signed_in(EvmPerson())
        account = await world.gateway.directory.account(await signed_in.account_id(), fresh=True)
        assert account is not None
        limits = Limits(requests=11, budget_nano_usd=USD, concurrency=4)
        put_account(
            world.dynamodb, world.names, replace(account, limits=limits, limits_from=LimitsFrom.OPERATOR, version=2)
        )
        yield signed_in


async def ask(world: World, source: str = "198.51.100.7", model: str = "test-model", **headers: str) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False, client=(source, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
        return await client.post(PATH, json=body, headers=raw)


def limit_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-ratelimit-limit-requests"]


async def charged(world: World, account_id: str) -> list[str]:
    """Return the keys that an account's entries of today name."""
    return [entry.key_id for entry in await world.gateway.ledger.entries(account_id, world.today())]


async def test_a_visitor_has_a_tiny_quota_of_its_own(world: World) -> None:
    assert limit_of(await ask(world)) == "2"
    assert (await ask(world)).headers["x-ratelimit-remaining-requests"] == "0"

    refused(await ask(world), 429, "request_quota_exhausted", kind="insufficient_quota")
    assert limit_of(await ask(world, "198.51.100.8")) == "2"
    assert await charged(world, ACCOUNT_ID) == [KEY_ID] * 3


async def test_who_came_before_midnight_is_the_same_visitor_afterwards(world: World, clock: ManualClock) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        clock.advance(86_400)
        yield json.dumps({"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}).encode()

    transport = httpx.ASGITransport(world.app, client=("198.51.100.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
        answer = await client.post(PATH, content=slowly(), headers={"content-type": "application/json"})

    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    assert (await ask(world)).headers["x-ratelimit-remaining-requests"] == "0"
    assert (await ask(world)).status_code == 429


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"])
async def test_no_header_makes_another_visitor(world: World, name: str) -> None:
    answers = [await ask(world, **{name: f"203.0.113.{last}"}) for last in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_an_ipv6_network_is_one_visitor(world: World) -> None:
    sources = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2:1234:5678:9abc:def0", "2001:db8:1:3::1")
    assert [(await ask(world, source)).status_code for source in sources] == [200, 200, 429, 200]


async def test_all_visitors_together_have_one_cap_a_day(world: World) -> None:
    assert [(await ask(world, f"198.51.100.{last}")).status_code for last in range(9)] == [200] * 8 + [429]


async def test_the_next_day_everybody_may_try_again(world: World, clock: ManualClock) -> None:
    for _ in range(2):
        limit_of(await ask(world))
    clock.advance(86_400)
    assert limit_of(await ask(world)) == "2"


async def test_visitors_use_the_listed_models_only(world: World, inside: Door) -> None:
    refused(await ask(world, model="other-model"), 403, "model_not_allowed", kind="permission_error", param="model")
    bearer = f"Bearer {inside.bearer}"
    assert limit_of(await ask(world, model="other-model", authorization=bearer)) == "11"


async def test_without_a_playground_a_visitor_is_told_and_a_key_works(
    dynoxide: str, upstream: ScriptedUpstream
) -> None:
    with fresh_tables(dynoxide) as names:
        off = replace(ON, playground="off")
        world = World(dynoxide, names.windows.removesuffix("-windows"), off)
        world.apply_catalogue(MODEL, base_url=upstream.base_url)
        error = refused(await ask(world), 404, "not_found")
        assert "There is no playground here" in error["message"]
        assert limit_of(await ask(world, **world.customer().headers)) == "11"
        await world.close()


async def test_a_key_spends_its_account_and_a_wrong_one_is_no_visitor(world: World) -> None:
    customer = world.customer()
    assert limit_of(await ask(world, **customer.headers)) == "11"
    assert await charged(world, customer.account.id) == [customer.key.id]
    refused(await ask(world, authorization="Bearer sk-clb-nonsense"), 401, "invalid_api_key")


async def test_a_session_s_token_spends_its_account_and_usage_says_playground(world: World, inside: Door) -> None:
    answer = await ask(world, authorization=f"Bearer {inside.bearer}", cookie=f"{COOKIE}=whatever")

    assert limit_of(answer) == "11"
    assert await charged(world, await inside.account_id()) == [KEY_ID]
    assert await charged(world, ACCOUNT_ID) == []
    [entry] = (await inside.ask("GET", "/account/v1/ledger")).json()["entries"]
    assert (entry["key_id"], entry["key_name"]) == (KEY_ID, "playground")


async def test_a_session_s_cookie_does_too_when_our_own_page_asks(world: World, inside: Door) -> None:
    proof = {"origin": ORIGIN, "x_csrf_token": csrf_token(inside.bearer)}
    assert limit_of(await ask(world, cookie=f"a=b; {COOKIE}={inside.bearer}", **proof)) == "11"
    assert await charged(world, await inside.account_id()) == [KEY_ID]


async def test_a_session_s_cookie_alone_is_refused_and_spends_nothing(world: World, inside: Door) -> None:
    right, other = csrf_token(inside.bearer), csrf_token(compose("acct_" + "a" * 12, bytes(32)))
    for headers in (
        {},
        {"origin": ORIGIN},
        {"x_csrf_token": right},
        {"origin": ORIGIN, "x_csrf_token": other},
        {"origin": "https://evil.test", "x_csrf_token": right},
        {"origin": "null", "x_csrf_token": right},
    ):
        answer = await ask(world, cookie=f"{COOKIE}={inside.bearer}", **headers)
        refused(answer, 403, "csrf_refused", kind="permission_error")
    assert await charged(world, await inside.account_id()) == []
    assert await charged(world, ACCOUNT_ID) == []


async def test_a_cookie_that_is_over_or_none_makes_a_visitor(world: World, inside: Door, clock: ManualClock) -> None:
    clock.advance(ON.session_s)
    sources = iter(range(9))
    for cookie in (
        f"{COOKIE}={inside.bearer}",
        f"{COOKIE}={compose('acct_' + 'a' * 12, bytes(32))}",
        f"{COOKIE}=",
        f"{COOKIE}=é",
        f"jatevo-session={inside.bearer}",
    ):
        assert limit_of(await ask(world, f"198.51.100.{next(sources)}", cookie=cookie)) == "2"


async def test_a_token_that_is_over_is_refused(world: World, inside: Door, clock: ManualClock) -> None:
    for token in ("jts-nonsense", compose("acct_" + "a" * 12, bytes(32))):
        refused(await ask(world, authorization=f"Bearer {token}"), 401, "invalid_session")
    clock.advance(ON.session_s)
    refused(await ask(world, authorization=f"Bearer {inside.bearer}"), 401, "invalid_session")


async def test_a_session_opens_the_playground_only(world: World, inside: Door) -> None:
    answer = await world.client.post(
        "/v1/chat/completions", json={}, headers={"authorization": f"Bearer {inside.bearer}"}
    )
    refused(answer, 401, "invalid_api_key")


async def test_a_session_is_of_one_account_whatever_else_is_sent(world: World, inside: Door) -> None:
    async with door(account_app(world.gateway)) as outside:
        other = await outside.signed_in(EvmPerson())
        proof = {"origin": ORIGIN, "x_csrf_token": csrf_token(other.bearer)}
        answer = await ask(world, cookie=f"{COOKIE}={inside.bearer}", **proof)
        refused(answer, 403, "csrf_refused", kind="permission_error")
        tail = other.bearer.removeprefix("jts-").partition("-")[2]
        mixed = f"jts-{(await inside.account_id()).removeprefix('acct_')}-{tail}"
        refused(await ask(world, authorization=f"Bearer {mixed}"), 401, "invalid_session")
        assert await charged(world, await other.account_id()) == []
    assert await charged(world, await inside.account_id()) == []


async def test_a_disabled_account_is_told_so(world: World, inside: Door) -> None:
    account = await world.gateway.directory.account(await inside.account_id(), fresh=True)
    assert account is not None
    put_account(world.dynamodb, world.names, replace(account, enabled=False, version=3))
    proof = {"origin": ORIGIN, "x_csrf_token": csrf_token(inside.bearer)}
    for headers in ({"authorization": f"Bearer {inside.bearer}"}, {"cookie": f"{COOKIE}={inside.bearer}", **proof}):
        refused(await ask(world, **headers), 403, "account_disabled", kind="permission_error")

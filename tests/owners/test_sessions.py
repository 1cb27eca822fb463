"""Sessions: a token or a cookie, nobody else's page, until signed out or over."""

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import AUTH, ORIGIN, Door, EvmPerson, code_of
from jatevo_testing.refusals import refused
from jatevo_testing.world import World

from jatevo.domain.sessions import MAX_SESSIONS_PER_ACCOUNT, compose, csrf_token

KEYS = "/account/v1/keys"
COOKIE = "__Host-jatevo-session"
DENIED = "permission_error"


async def test_the_cookie_is_for_our_own_pages_only(outside: Door, ada: EvmPerson) -> None:
    answer = await outside.verify(**await outside.proof(ada), origin=ORIGIN)
    token = answer.json()["token"]
    assert answer.headers["set-cookie"] == (
        f"{COOKIE}={token}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure"
    )
    assert answer.headers["cache-control"] == "no-store"


async def test_a_page_of_another_origin_gets_no_cookie_to_plant(outside: Door, ada: EvmPerson) -> None:
    for origin in ("https://evil.test", "null", "http://gateway.test", "https://gateway.test.evil.test"):
        answer = await outside.verify(**await outside.proof(ada), origin=origin)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("joined", ["{}", "a=b; {}", "a=b;{}", "x={{}}; {}; z=1"])
async def test_the_cookie_reads_and_with_its_csrf_token_and_our_origin_writes(
    joined: str, outside: Door, inside: Door
) -> None:
    browser = Door(outside.client, more={"cookie": joined.format(f"{COOKIE}={inside.bearer}")})
    assert (await browser.ask("GET", KEYS)).status_code == 200
    session = (await browser.ask("GET", f"{AUTH}/session")).json()
    made = await browser.ask("POST", KEYS, {}, origin=ORIGIN, x_csrf_token=session["csrf"])
    assert made.status_code == 201


async def test_a_write_with_the_cookie_alone_is_refused(outside: Door, inside: Door) -> None:
    browser = Door(outside.client, more={"cookie": f"{COOKIE}={inside.bearer}"})
    right = csrf_token(inside.bearer)
    for headers in (
        {},
        {"origin": ORIGIN},
        {"x_csrf_token": right},
        {"origin": ORIGIN, "x_csrf_token": ""},
        {"origin": ORIGIN, "x_csrf_token": right[:-1]},
        {"origin": ORIGIN, "x_csrf_token": csrf_token(compose("acct_" + "a" * 12, bytes(32)))},
        {"origin": "https://evil.test", "x_csrf_token": right},
        {"origin": "null", "x_csrf_token": right},
        {"origin": ORIGIN + ".evil.test", "x_csrf_token": right},
        {"origin": ORIGIN + "/prod", "x_csrf_token": right},
    ):
        refused(await browser.ask("POST", KEYS, {}, **headers), 403, "csrf_refused", kind=DENIED)
        refused(await browser.ask("DELETE", f"{KEYS}/key_x", **headers), 403, "csrf_refused", kind=DENIED)
        refused(await browser.ask("POST", f"{AUTH}/logout", **headers), 403, "csrf_refused", kind=DENIED)
    assert (await browser.ask("GET", KEYS)).json() == {"keys": []}


async def test_a_cookie_of_another_name_or_kind_is_no_session(outside: Door, inside: Door) -> None:
    for cookie in (
        f"jatevo-session={inside.bearer}",
        f"X{COOKIE}={inside.bearer}",
        f"{COOKIE}=",
        f"{COOKIE}=x",
        f"a=b, {COOKIE}={inside.bearer}",  # what a neighbouring domain could have set
        f"a={COOKIE}={inside.bearer}",
        "a" * 20_000,
    ):
        browser = Door(outside.client, more={"cookie": cookie})
        refused(await browser.ask("GET", KEYS), 401, "invalid_session")


@pytest.mark.parametrize(
    "path", [KEYS, "/account/v1/wallets", "/account/v1/usage", "/account/v1/ledger", f"{AUTH}/session"]
)
async def test_nobody_is_told_anything_without_a_session(path: str, outside: Door, inside: Door) -> None:
    account_id = await inside.account_id()
    for bearer in (
        "",
        "x",
        "jts-",
        compose(account_id, bytes(32)),
        inside.bearer[:-1],
        inside.bearer + "x",
        inside.bearer.replace("jts-", "JTS-"),
        inside.bearer.upper(),
        "sk-clb-" + "a" * 43,
        "é" * 60,
        "a" * 100_000,
    ):
        outside.bearer = bearer
        refused(await outside.ask("GET", path), 401, "invalid_session")


async def test_a_token_serves_its_own_account_only(outside: Door, inside: Door) -> None:
    bob = await outside.signed_in(EvmPerson())
    mine, his = await inside.account_id(), await bob.account_id()
    forged = inside.bearer.replace(mine.removeprefix("acct_"), his.removeprefix("acct_"))
    assert code_of(await Door(outside.client, bearer=forged).ask("GET", KEYS)) == (401, "invalid_session")


async def test_a_session_ends_after_its_time(inside: Door, clock: ManualClock) -> None:
    clock.advance(43_200 - 1)
    assert (await inside.ask("GET", KEYS)).status_code == 200
    clock.advance(1)
    refused(await inside.ask("GET", KEYS), 401, "invalid_session")


async def test_signing_out_ends_one_session_or_all(outside: Door, inside: Door, ada: EvmPerson) -> None:
    second, third = await outside.signed_in(ada), await outside.signed_in(ada)
    ended = await second.ask("POST", f"{AUTH}/logout", {})
    assert (ended.status_code, ended.content) == (204, b"")
    assert ended.headers["set-cookie"].startswith(f"{COOKIE}=; Path=/; Max-Age=0;")
    assert [(await each.ask("GET", KEYS)).status_code for each in (inside, second, third)] == [200, 401, 200]
    bob = await outside.signed_in(EvmPerson())
    assert (await third.ask("POST", f"{AUTH}/logout?all=true")).status_code == 204
    assert [(await each.ask("GET", KEYS)).status_code for each in (inside, third, bob)] == [401, 401, 200]


async def test_an_account_has_so_many_sessions_the_newest(
    outside: Door, inside: Door, world: World, clock: ManualClock
) -> None:
    account_id = await inside.account_id()
    sessions = world.gateway.self_service().sessions
    wallet = (await sessions.authenticate(inside.bearer)).session.wallet  # type: ignore[union-attr]
    for _ in range(MAX_SESSIONS_PER_ACCOUNT):
        clock.advance(1)
        await sessions.open(account_id, wallet)
    assert (await inside.ask("GET", KEYS)).status_code == 401


async def test_nothing_that_is_stored_opens_a_session(inside: Door, world: World) -> None:
    stored = str(world.dynamodb.scan(TableName=world.names.sessions)["Items"])
    assert inside.bearer not in stored
    assert inside.bearer[-43:] not in stored
    assert csrf_token(inside.bearer) not in stored


async def test_everything_that_is_stored_of_signing_in_is_forgotten(
    inside: Door, world: World, clock: ManualClock
) -> None:
    await inside.ask("POST", KEYS, {})
    items = world.dynamodb.scan(TableName=world.names.sessions)["Items"]
    assert {item["owner"]["S"].partition("#")[0].partition("_")[0] for item in items} == {"acct", "nonce", "rate"}
    now = clock.now_ms() // 1000
    assert all(now < int(item["ttl"]["N"]) <= now + 43_200 + 3600 for item in items)


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("PUT", KEYS, "GET, POST"),
        ("GET", f"{KEYS}/key_x", "PATCH, DELETE"),
        ("GET", f"{AUTH}/logout", "POST"),
        ("DELETE", "/account/v1/wallets", "GET, POST"),
    ],
)
async def test_a_route_says_all_that_it_takes(method: str, path: str, takes: str, inside: Door) -> None:
    answer = await inside.ask(method, path)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == takes
    assert f"takes {takes} only" in answer.json()["error"]["message"]

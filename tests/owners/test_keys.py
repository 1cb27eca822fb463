"""Keys of one's own: created, changed, rotated, stopped, deleted; nobody else's, ever."""

import asyncio
from typing import Any

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import Door, EvmPerson
from jatevo_testing.refusals import refused
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.domain.accounts import MAX_KEYS_PER_ACCOUNT

KEYS = "/account/v1/keys"
DAY_S = 86_400


async def made(door: Door, **wanted: Any) -> dict[str, Any]:
    answer = await door.ask("POST", KEYS, wanted)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    key: dict[str, Any] = answer.json()
    return key


async def listed(door: Door) -> dict[str, dict[str, Any]]:
    return {key["key_id"]: key for key in (await door.ask("GET", KEYS)).json()["keys"]}


async def give_budget(world: World, door: Door) -> None:
    """Give the account limits, as holdings would."""
    world.dynamodb.update_item(
        TableName=world.names.accounts,
        Key={"account_id": {"S": await door.account_id()}},
        UpdateExpression="SET requests_per_day = :n, budget_nano_usd_per_day = :b, limits_from = :o ADD version :one",
        ExpressionAttributeValues={
            ":n": {"N": "11"},
            ":b": {"N": str(11 * USD)},
            ":o": {"S": "operator"},
            ":one": {"N": "1"},
        },
    )


async def chat(world: World, secret: str, **body: Any) -> tuple[int, str | None]:
    message = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], **body}
    headers = {"authorization": f"Bearer {secret}"}
    answer = await world.client.post("/v1/chat/completions", json=message, headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code")


@pytest.fixture
async def paid(world: World, inside: Door, upstream: ScriptedUpstream) -> Door:
    """Ada, with a budget and a model that answers."""
    world.apply_catalogue(MODEL, base_url=upstream.base_url)
    await give_budget(world, inside)
    return inside


async def test_a_key_is_shown_once_and_works(paid: Door, world: World) -> None:
    key = await made(paid, name="laptop")
    assert key["key"].startswith("sk-clb-")
    assert await chat(world, key["key"]) == (200, None)
    shown = (await listed(paid))[key["key_id"]]
    assert (shown["name"], shown["prefix"], shown["enabled"]) == ("laptop", key["prefix"], True)
    assert key["key"] not in str(await listed(paid))
    assert key["key"] not in str(world.dynamodb.scan(TableName=world.names.keys)["Items"])


async def test_a_keys_use_is_shown_without_a_write_for_it(paid: Door, world: World, clock: ManualClock) -> None:
    used, idle = await made(paid), await made(paid)
    assert (await listed(paid))[used["key_id"]]["last_used_at_unix_s"] is None
    clock.advance(60)
    await chat(world, used["key"])
    keys, now = await listed(paid), clock.now_ms() // 1000
    assert keys[used["key_id"]]["last_used_at_unix_s"] == now
    assert keys[used["key_id"]]["today"]["requests"] == 1
    assert float(keys[used["key_id"]]["today"]["charge_usd"]) > 0
    assert keys[idle["key_id"]]["last_used_at_unix_s"] is None
    assert keys[idle["key_id"]]["today"] == {"requests": 0, "total_tokens": 0, "charge_usd": "0.00"}
    clock.advance(2 * DAY_S)
    later = (await listed(await Door(paid.client).signed_in(EvmPerson()))) or {}
    assert later == {}


async def test_yesterdays_use_is_told_to_the_day(
    paid: Door, world: World, clock: ManualClock, outside: Door, ada: EvmPerson
) -> None:
    key = await made(paid)
    await chat(world, key["key"])
    day_start = clock.now_ms() // 1000 // DAY_S * DAY_S
    clock.advance(3 * DAY_S)
    again = await outside.signed_in(ada)
    shown = (await listed(again))[key["key_id"]]
    assert (shown["last_used_at_unix_s"], shown["today"]["requests"]) == (day_start, 0)


async def test_a_keys_own_limits_bind_and_can_be_changed(paid: Door, world: World) -> None:
    key = await made(paid, requests_per_day=1, budget_usd_per_day="5.00", concurrency=2)
    assert (key["requests_per_day"], key["budget_usd_per_day"], key["concurrency"]) == (1, "5.00", 2)
    assert await chat(world, key["key"]) == (200, None)
    assert await chat(world, key["key"]) == (429, "request_quota_exhausted")
    path = f"{KEYS}/{key['key_id']}"
    changed = (await paid.ask("PATCH", path, {"requests_per_day": None, "name": "free"})).json()
    assert (changed["requests_per_day"], changed["budget_usd_per_day"], changed["name"]) == (None, "5.00", "free")
    assert await chat(world, key["key"]) == (200, None)
    await paid.ask("PATCH", path, {"budget_usd_per_day": "0.000000001"})
    assert (await chat(world, key["key"]))[0] == 429


async def test_a_key_stops_at_once_when_disabled_and_goes_when_deleted(paid: Door, world: World) -> None:
    key, other = await made(paid), await made(paid)
    assert await chat(world, key["key"]) == (200, None)
    assert (await paid.ask("POST", f"{KEYS}/{key['key_id']}/disable", {})).json()["enabled"] is False
    assert await chat(world, key["key"]) == (403, "key_disabled")
    assert (await paid.ask("DELETE", f"{KEYS}/{key['key_id']}")).status_code == 204
    assert await chat(world, key["key"]) == (401, "invalid_api_key")
    assert set(await listed(paid)) == {other["key_id"]}
    assert (await paid.ask("DELETE", f"{KEYS}/{other['key_id']}")).status_code == 204
    assert await chat(world, other["key"]) == (401, "invalid_api_key")
    refused(await paid.ask("DELETE", f"{KEYS}/{other['key_id']}"), 404, "not_found", param="key_id")


async def test_rotating_gives_a_new_secret_and_stops_the_old_at_once(paid: Door, world: World) -> None:
    limits: dict[str, Any] = {
        "name": "ci",
        "models": ["test-model"],
        "requests_per_day": 5,
        "budget_usd_per_day": "2.00",
        "ip_ranges": ["127.0.0.0/8"],
    }
    old = await made(paid, **limits)
    answer = await paid.ask("POST", f"{KEYS}/{old['key_id']}/rotate", {})
    new = answer.json()
    assert answer.status_code == 201
    assert {name: new[name] for name in limits} == limits
    assert new["key_id"] != old["key_id"]
    assert await chat(world, old["key"]) == (403, "key_disabled")
    assert await chat(world, new["key"]) == (200, None)
    refused(await paid.ask("POST", f"{KEYS}/{old['key_id']}/rotate"), 409, "conflict")


async def test_rotating_with_an_overlap_lets_both_work_for_that_long(
    paid: Door, world: World, clock: ManualClock
) -> None:
    old = await made(paid)
    new = (await paid.ask("POST", f"{KEYS}/{old['key_id']}/rotate", {"overlap_s": 3600})).json()
    assert [await chat(world, key["key"]) for key in (old, new)] == [(200, None)] * 2
    clock.advance(3600)
    assert [await chat(world, key["key"]) for key in (old, new)] == [(403, "key_disabled"), (200, None)]
    for overlap_s in (-1, 7 * DAY_S + 1):
        answer = await paid.ask("POST", f"{KEYS}/{new['key_id']}/rotate", {"overlap_s": overlap_s})
        refused(answer, 400, "invalid_value", param="overlap_s")


async def test_a_key_is_bound_to_models_expiry_and_networks(paid: Door, world: World, clock: ManualClock) -> None:
    expires = clock.now_ms() // 1000 + 60
    key = await made(paid, expires_at_unix_s=expires, ip_ranges=["203.0.113.0/24"])
    assert await chat(world, key["key"]) == (403, "ip_not_allowed")
    await paid.ask("PATCH", f"{KEYS}/{key['key_id']}", {"ip_ranges": None})
    assert await chat(world, key["key"]) == (200, None)
    clock.advance(60)
    assert await chat(world, key["key"]) == (403, "key_disabled")


@pytest.mark.parametrize(
    ("wanted", "code", "param"),
    [
        ({"models": ["no-such-model"]}, "invalid_value", "models"),
        ({"models": ["test-model", "hidden-model"]}, "invalid_value", "models"),
        ({"models": []}, "invalid_value", "models"),
        ({"models": ["test-model"] * 2 + ["=cmd()"]}, "invalid_value", "models"),
        ({"models": "test-model"}, "invalid_type", "models"),
        ({"lanes": ["vip"]}, "invalid_value", "lanes"),
        ({"requests_per_day": -1}, "invalid_value", "requests_per_day"),
        ({"requests_per_day": 1.5}, "invalid_type", "requests_per_day"),
        ({"requests_per_day": 10**30}, "invalid_value", "requests_per_day"),
        ({"budget_usd_per_day": "-1"}, "invalid_value", "budget_usd_per_day"),
        ({"budget_usd_per_day": "1e3"}, "invalid_value", "budget_usd_per_day"),
        ({"budget_usd_per_day": 5.5}, "invalid_type", "budget_usd_per_day"),
        ({"concurrency": 0}, "invalid_value", "concurrency"),
        ({"expires_at_unix_s": 1}, "invalid_value", "expires_at_unix_s"),
        ({"ip_ranges": []}, "invalid_value", "ip_ranges"),
        ({"ip_ranges": ["10.0.0.1/8"]}, "invalid_value", "ip_ranges"),
        ({"ip_ranges": [f"10.0.0.{n}" for n in range(17)]}, "invalid_value", "ip_ranges"),
        ({"name": "a" * 101}, "invalid_value", "name"),
        ({"name": "a\nb"}, "invalid_value", "name"),
        ({"account_id": "acct_other"}, "unsupported_parameter", "account_id"),
        ({"enabled": False}, "unsupported_parameter", "enabled"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(
    wanted: dict[str, Any], code: str, param: str, inside: Door
) -> None:
    refused(await inside.ask("POST", KEYS, wanted), 400, code, param=param)
    assert await listed(inside) == {}
    key = await made(inside)
    answer = await inside.ask("PATCH", f"{KEYS}/{key['key_id']}", wanted)
    refused(answer, 400, code, param=param)


async def test_another_accounts_key_is_not_there(outside: Door, inside: Door, world: World) -> None:
    his = await made(await outside.signed_in(EvmPerson()), name="hers-alone")
    operators: Customer = world.customer()
    for key_id in (his["key_id"], operators.key.id, "key_nobody", "x" * 500, "..%2f..%2fadmin"):
        for method, path, body in (
            ("PATCH", "", {"name": "mine"}),
            ("POST", "/rotate", {}),
            ("POST", "/disable", {}),
            ("DELETE", "", None),
        ):
            answer = await inside.ask(method, f"{KEYS}/{key_id}{path}", body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
            assert "hers-alone" not in answer.text
    assert await listed(inside) == {}


async def test_the_number_of_keys_is_bounded(inside: Door, world: World) -> None:
    account_id = await inside.account_id()
    world.dynamodb.update_item(
        TableName=world.names.accounts,
        Key={"account_id": {"S": account_id}},
        UpdateExpression="SET enabled_keys = :n",
        ExpressionAttributeValues={":n": {"N": str(MAX_KEYS_PER_ACCOUNT - 1)}},
    )
    answers = await asyncio.gather(*(inside.ask("POST", KEYS, {}) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]

"""Every route of the account and admin apps, so that none is forgotten: whose ids it takes, and nonsense."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from jatevo_testing.owners import Door, EvmPerson
from jatevo_testing.world import World

from jatevo.application.responses import Resolved, Turn
from jatevo.bootstrap import Gateway
from jatevo_admin.handler import create_app as admin_app

RESPONSE = "resp_6vXK-0aZ_bcdefgh"
TOKEN = "first-operators-own-token"
NO_NODE = "snapshot_failed"  # this gateway has no chain, and says so
INTERNAL = re.compile(
    r"secret-|traceback|127\.0\.0\.1|dynamodb|botocore|pynamodb|jatevo-test|ConditionExpression|\.py\b|, line",
    re.IGNORECASE,
)
HOSTILE = (
    "x" * 2000,
    "..%2f..%2fadmin",
    "%00",
    "%0d%0aset-cookie:%20x=1",
    "%F0%9F%92%A9",
    "%ff",
    "'%22;--",
    "-1",
    "{{7*7}}",
)
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'"x"',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"__proto__":{"x":1},"name":{"$gt":""}}',
    b'{"name":"\\ud800","n":1e999,"budget_usd_per_day":"NaN","requests_per_day":-1}',
    b'{"name":' + b"9" * 5000 + b"}",
    b'{"account_id":""}',
    b'{"name":null,"items":[[[]]],"metadata":[],"models":{"a":1},"nonce":0,"signature":[]}',
)
QUERIES = ("limit=-1&after=%00&day=2026-99-99&version=1e9", "limit=x&order=y&include=z", "day=&day=&limit=" + "9" * 400)


def operations(app: FastAPI, kinds: str = "get|put|post|patch|delete") -> Iterator[tuple[str, str]]:
    """Method and path of what the app's own description has."""
    for path, item in get_openapi(title="x", version="0", routes=app.routes)["paths"].items():
        yield from ((method.upper(), path) for method in item if re.fullmatch(kinds, method))


def refused_in_form(answer: Any, asked: str) -> None:
    """Check that an answer is none of ours that failed, and tells nothing."""
    assert answer.status_code < 500 or answer.json()["error"]["code"] == NO_NODE, (asked, answer.text)
    told = answer.text + str(answer.headers)
    assert (answer.status_code < 400 and "/admin/" in asked) or not INTERNAL.search(told), (asked, told)
    assert "set-cookie" not in answer.headers or "/auth/" in asked
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert {"message", "type", "param", "code"} <= error.keys(), asked
        assert len(answer.content) < 8192, asked


async def nonsense(app: FastAPI, client: Any, headers: dict[str, str]) -> int:
    """Ask every route with every hostile value in each place, and return how often."""
    asked = 0
    for method, path in operations(app):
        for value in HOSTILE if "{" in path else ("",):
            for query in QUERIES:
                url = value.join(re.split(r"\{[^}]*\}", path)) + "?" + query
                refused_in_form(await client.request(method, url, headers=headers), f"{method} {url}")
                asked += 1
        if method == "GET":
            continue
        for body in BODIES:
            for kind in ("application/json", "text/plain"):
                url = re.sub(r"\{[^}]*\}", "x", path)
                sent = {**headers, "content-type": kind}
                answer = await client.request(method, url, headers=sent, content=body)
                refused_in_form(answer, f"{method} {url} {body[:40]!r}")
                asked += 1
    return asked


@pytest.fixture
async def operator(world: World) -> AsyncIterator[tuple[FastAPI, dict[str, str]]]:
    """The admin app, and what lets its first operator in."""
    gateway = Gateway(replace(world.settings, operator_token=TOKEN), {}, clock=world.gateway.clock)
    yield admin_app(gateway), {"authorization": f"Bearer {TOKEN}"}
    gateway.close()


async def test_nonsense_from_an_owner_is_refused_in_form(app: FastAPI, inside: Door) -> None:
    bearer = {"authorization": f"Bearer {inside.bearer}"}
    assert await nonsense(app, inside.client, bearer) > 500


async def test_nonsense_from_a_keys_holder_is_refused_in_form(app: FastAPI, world: World, outside: Door) -> None:
    customer = world.customer()
    assert await nonsense(app, outside.client, customer.headers) > 500
    assert await world.ledger(customer) == []


async def test_nonsense_from_an_operator_is_refused_in_form(operator: tuple[FastAPI, dict[str, str]]) -> None:
    app, headers = operator
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert await nonsense(app, client, headers) > 1000


async def test_no_admin_route_opens_to_a_key_a_session_or_nobody(
    operator: tuple[FastAPI, dict[str, str]], world: World, inside: Door
) -> None:
    app, _ = operator
    customer = world.customer()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for method, path in operations(app):
            url = path.replace("{account_id}", customer.account.id).replace("{key_id}", customer.key.id)
            for bearer in (customer.secret, inside.bearer, "", customer.key.digest):
                answer = await client.request(method, url, headers={"authorization": f"Bearer {bearer}"})
                assert answer.status_code == 401, (method, path)
                assert customer.account.id not in answer.text


async def test_no_route_of_owners_and_keys_takes_the_id_of_another_account(
    app: FastAPI, world: World, outside: Door, inside: Door
) -> None:
    """Every path with an id, with one that is there and is somebody else's: as if there were none."""
    person, customer, stranger = EvmPerson(), world.customer(), world.customer()
    bob = await outside.signed_in(person)
    key = (await bob.ask("POST", "/account/v1/keys", {"name": "hers-alone"})).json()
    made = await Door(outside.client, bearer=customer.secret).ask("POST", "/v1/conversations", {})
    histories, said = world.gateway.histories(), {"id": RESPONSE, "object": "response", "model": "m", "output": []}
    resolved = Resolved((), ({"type": "message", "role": "user", "content": "x"},))
    keeper = histories.keeper(customer.account, Turn(resolved.own), resolved)
    assert keeper is not None
    await keeper.keep(said)
    theirs = {
        "key_id": key["key_id"],
        "wallet": person.wallet,
        "conversation_id": made.json()["id"],
        "item_id": "msg_1",
        "response_id": RESPONSE,
    }
    bodies: dict[str, Any] = {
        "/items": {"items": [{"role": "user", "content": "x"}]},
        "{conversation_id}": {"metadata": {}},
    }
    asked = set()
    for method, path in operations(app):
        if "{" not in path or path == "/v1/models/{model_id}":  # models are everybody's
            continue
        url = path.format(**theirs)
        door = inside if path.startswith("/account/") else Door(outside.client, bearer=stranger.secret)
        body = next(
            (body for end, body in bodies.items() if path.endswith(end)), {"name": "mine"} if method == "PATCH" else {}
        )
        answer = await door.ask(method, url, None if method in ("GET", "DELETE") else body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), (method, path)
        assert "hers-alone" not in answer.text
        asked.add(path.partition("{")[2].partition("}")[0])
    assert asked == {"key_id", "wallet", "conversation_id", "response_id"}
    assert [k["name"] for k in (await bob.ask("GET", "/account/v1/keys")).json()["keys"]] == ["hers-alone"]
    hers = Door(outside.client, bearer=customer.secret)
    for there in (f"/v1/responses/{RESPONSE}", f"/v1/conversations/{theirs['conversation_id']}"):
        assert (await hers.ask("GET", there)).status_code == 200

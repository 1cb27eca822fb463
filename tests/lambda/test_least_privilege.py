"""
Every role allows exactly what its function does.

The built functions are driven through everything they can do, against an AWS that refuses what their roles do not
allow. Nothing may be refused, and nothing that a role allows may go unused.
"""

import asyncio
import json
import os
import signal
import time
from dataclasses import replace
from typing import Any

import pytest
from jatevo_testing.chain import evm_wallet
from jatevo_testing.cloud import Cloud
from jatevo_testing.owners import Door, EvmPerson, SolanaPerson
from jatevo_testing.roles import Permission, permissions
from jatevo_testing.tables import plain_client, put_account, put_key, put_window
from jatevo_testing.upstream import Asked, Connection, answering, chunk, usage

from jatevo.domain import api_keys, ids
from jatevo.domain.accounts import Account, ApiKey, account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.wallets import wallet_from_text
from jatevo.domain.windows import Hold, Limits, opened
from jatevo_local import built
from jatevo_local.lambda_api.calls import Reply

CHAT = "/v1/chat/completions"
DAY_S = 86_400


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 50, **more}


@pytest.mark.slow
@pytest.mark.timeout(300)  # it drives every function there is
async def test_every_role_allows_exactly_what_its_function_does(cloud: Cloud) -> None:
    await operators_work(cloud)
    await customers_chat(cloud)
    await customers_look(cloud)
    await customers_keep(cloud)
    await owners_look_after_themselves(cloud)
    await visitors_look(cloud)
    await reservations_left_behind_are_ended(cloud)
    await holdings_are_counted(cloud)
    await a_pool_fails(cloud)
    await the_price_is_decided(cloud)
    await the_books_are_audited(cloud)
    await an_account_is_erased(cloud)
    assert cloud.aws.refused == []
    unused = {
        name: sorted(str(held) for held in held_by(name) if not any(held.covers(call) for call in called(cloud, name)))
        for name in built.functions()
    }
    assert unused == {name: [] for name in built.functions()}


def held_by(function: str) -> frozenset[Permission]:
    return permissions(function)


def called(cloud: Cloud, function: str) -> set[Permission]:
    return cloud.aws.calls.get(function, set())


async def operators_work(cloud: Cloud) -> None:
    """Every route of the admin API."""
    admin = cloud.admin
    customer = await cloud.customer()
    account, key = customer["account"], customer["key"]
    await expect(cloud, customer, 200)  # a window and an entry to look at
    for path in (
        "/catalog",
        "/catalog?version=1",
        "/accounts",
        f"/accounts/{account}",
        f"/accounts/{account}/keys",
        f"/accounts/{account}/window",
        f"/accounts/{account}/ledger",
        "/operators",
        "/routes",
        "/lanes",
        "/audit",
        "/price",
        "/price/history",
        "/checks",
        "/service",
    ):
        answer = await admin.get(path)
        assert answer.status_code == 200, (path, answer.text)
    for method, path, body in (
        ("PATCH", f"/accounts/{account}", {"requests_per_day": 50}),
        ("PATCH", f"/keys/{key}", {"requests_per_day": 20}),
        ("POST", f"/keys/{key}/disable", None),
        ("POST", "/operators", {"name": "second"}),
        ("POST", "/operators/second/disable", None),
        ("PUT", "/price/rate", {"price_usd": "0.01", "expires_at_unix_s": int(time.time()) + 60, "reason": "test"}),
        ("DELETE", "/price/rate?reason=test", None),
        ("POST", "/routes/decide", {"model": "test-model"}),
        ("POST", "/pools/main/drain", None),
        ("POST", "/pools/main/undrain", None),
        ("POST", "/service/stop", {"reason": "test"}),
        ("POST", "/service/resume", {"reason": "test"}),
        ("POST", "/sweep", {}),
        ("POST", "/sweep", {"full": True}),
    ):
        answer = await admin.request(method, path, json=body)
        assert answer.status_code in {200, 201}, (path, answer.text)


async def customers_chat(cloud: Cloud) -> None:
    """An answer, a stream, one that costs more than was estimated, a refusal with both counters, a capped key."""
    customer = await cloud.customer()
    await expect(cloud, customer, 200)
    await expect(cloud, customer, 200, stream=True)
    cloud.upstream.script = answering("hello", usage(500, 5))  # far more input than five characters can be
    await expect(cloud, customer, 200)
    cloud.upstream.script = type(cloud.upstream).script
    await expect(cloud, customer, 404, model="no-such-model")
    capped = (await cloud.admin.patch(f"/keys/{customer['key']}", json={"requests_per_day": 20})).json()
    assert capped["requests_per_day"] == 20
    await asyncio.sleep(1.1)  # what the function remembers of a key
    await expect(cloud, customer, 200)


async def customers_look(cloud: Cloud) -> None:
    """Models and usage; an account older than a day has sums to store."""
    headers = old_customer(cloud)
    for path in ("/v1/models", "/v1/models/test-model", "/v1/usage", "/v1/usage"):
        answer = await cloud.client.get(path, headers=headers)
        assert answer.status_code == 200, (path, answer.text)


async def customers_keep(cloud: Cloud) -> None:
    """Stored responses and conversations: made, gone on from, looked at, changed and deleted."""
    customer = await cloud.customer()
    first = await kept(cloud, customer, "POST", "/responses", {"input": "one"})
    await kept(cloud, customer, "POST", "/responses", {"input": "two", "previous_response_id": first})
    talk = await kept(cloud, customer, "POST", "/conversations", {"items": [{"role": "user", "content": "hi"}]})
    await kept(cloud, customer, "POST", "/responses", {"input": "three", "conversation": talk})
    items = f"/conversations/{talk}/items"
    added = {"items": [{"role": "user", "content": "more", "id": "msg_more"}]}
    for method, path, body in (
        ("GET", f"/responses/{first}", None),
        ("GET", f"/responses/{first}/input_items", None),
        ("DELETE", f"/responses/{first}", None),
        ("GET", f"/conversations/{talk}", None),
        ("POST", f"/conversations/{talk}", {"metadata": {"a": "b"}}),
        ("POST", items, added),
        ("GET", items, None),
        ("DELETE", f"{items}/msg_more", None),
        ("DELETE", f"/conversations/{talk}", None),
    ):
        await kept(cloud, customer, method, path, body)
    for path in ("/backend-api/codex/models", "/v1/responses/resp_unknown"):
        answer = await cloud.client.get(path, headers=headers_of(customer))
        assert answer.status_code == (404 if "unknown" in path else 200), (path, answer.text)


async def kept(cloud: Cloud, customer: dict[str, str], method: str, path: str, body: dict[str, Any] | None) -> str:
    sent = None if body is None else {"model": "test-model", "max_output_tokens": 20} | body
    if body is not None and "/conversations" in path:
        sent = body
    answer = await cloud.client.request(method, f"/v1{path}", json=sent, headers=headers_of(customer))
    assert answer.status_code == 200, (method, path, answer.text, cloud.log())
    return str(answer.json().get("id", ""))


async def owners_look_after_themselves(cloud: Cloud) -> None:
    """Sign in, link and unlink a wallet, every route of keys, the books, sign out everywhere."""
    inside = await Door(cloud.client).signed_in(EvmPerson())
    await owners_try_the_playground(cloud, inside)
    linked = (await inside.link(SolanaPerson())).raise_for_status().json()["wallet"]
    made = (await inside.ask("POST", "/account/v1/keys", {"requests_per_day": 5})).raise_for_status().json()
    key = f"/account/v1/keys/{made['key_id']}"
    for method, path, body in (
        ("GET", "/account/v1/wallets", None),
        ("DELETE", f"/account/v1/wallets/{linked}", None),
        ("GET", "/account/v1/keys", None),
        ("PATCH", key, {"requests_per_day": 6}),
        ("POST", f"{key}/rotate", {"overlap_s": 60}),
        ("POST", f"{key}/disable", None),
        ("DELETE", key, None),
        ("GET", "/account/v1/usage?by=key", None),
        ("GET", "/account/v1/ledger", None),
        ("POST", "/account/v1/auth/logout?all=true", None),
    ):
        answer = await inside.ask(method, path, body)
        assert answer.is_success, (method, path, answer.text, cloud.log())


async def owners_try_the_playground(cloud: Cloud, inside: Door) -> None:
    """With the token of a session, and with its cookie; a wallet that holds nothing may ask, and be told so."""
    for headers in (
        {"authorization": f"Bearer {inside.bearer}"},
        {"cookie": f"__Host-jatevo-session={inside.bearer}"},
    ):
        answer = await cloud.client.post("/playground/v1/chat/completions", json=chat(), headers=headers)
        assert answer.status_code in {403, 429}, (answer.text, cloud.log())


async def visitors_look(cloud: Cloud) -> None:
    assert (await cloud.client.get("/health")).status_code == 200
    assert (await cloud.client.get("/nothing")).status_code == 404


async def reservations_left_behind_are_ended(cloud: Cloud) -> None:
    """By an operator who looks, by the schedule, and by a repair."""
    sweeper = cloud.stack.functions["ReservationSweeperFunction"]
    left = [await leave_behind(cloud) for _ in range(2)]
    await asyncio.sleep(5)  # a reservation expires four seconds after it was made
    assert (await cloud.admin.post("/sweep", json={})).json()["expired"] >= len(left)
    left = [await leave_behind(cloud)]
    await expect(cloud, await cloud.customer(), 200)  # something that the day has come to
    deadline = time.monotonic() + 20
    while (await cloud.admin.get(f"/accounts/{left[0]['account']}/window")).json()["open"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)
        for event in ({}, {"full": True}):
            report = await sweeper.invoke(event)
            assert isinstance(report, Reply), report
            await report.whole()


async def the_books_are_audited(cloud: Cloud) -> None:
    """By an operator, who corrects what differs; by the schedule, each day that is over."""
    account, other = put_yesterday(cloud, 2, wrong_by=5), put_yesterday(cloud, 3, wrong_by=0)
    day = utc_day(int(time.time()) - DAY_S)
    granted = {"grant_id": "g1", "amount_usd": "1.00", "reason": "test"}
    for method, path, body in (
        ("POST", f"/accounts/{account}/grants", granted),
        ("POST", f"/accounts/{other}/grants", granted),
        ("GET", f"/accounts/{account}/audit?day={day}", None),
        ("POST", f"/accounts/{account}/corrections", {"day": day, "reason": "test"}),
        ("GET", f"/accounts/{account}/corrections", None),
        ("GET", f"/statements?day={day}", None),
    ):
        answer = await cloud.admin.request(method, path, json=body)
        assert answer.status_code in {200, 201}, (path, answer.text, cloud.log())
    reconciliation = cloud.stack.functions["ReconciliationFunction"]
    reply = await reconciliation.invoke({})
    assert isinstance(reply, Reply), reply
    assert day in {report["day"] for report in json.loads(await reply.whole())["audited"]}
    assert (await cloud.admin.get(f"/audits/{day}")).json()["difference_count"] == 0


async def an_account_is_erased(cloud: Cloud) -> None:
    """With a session, a wallet and a response to go."""
    inside = await Door(cloud.client).signed_in(EvmPerson())
    account = await inside.account_id()
    await asyncio.sleep(1.1)  # what functions remember of an account
    limits = {"requests_per_day": 5, "budget_usd_per_day": "1.00"}
    answer = await cloud.admin.patch(f"/accounts/{account}", json=limits)
    assert answer.status_code == 200, (answer.text, cloud.log())
    made = (await inside.ask("POST", "/account/v1/keys", {})).raise_for_status().json()
    headers = {"authorization": f"Bearer {made['key']}"}
    await kept(cloud, headers, "POST", "/responses", {"input": "one"})
    erased = (await cloud.admin.post(f"/accounts/{account}/erase")).raise_for_status().json()
    assert (erased["keys"], erased["wallets"], erased["stored_items"]) == (1, 1, 1)


async def the_price_is_decided(cloud: Cloud) -> None:
    reply = await cloud.stack.functions["PriceOracleFunction"].invoke({})
    assert isinstance(reply, Reply), reply
    report = json.loads(await reply.whole())
    assert (report["agreed"], report["asked"]) == (3, 4), cloud.log()
    [key] = {headers["x-cg-demo-api-key"] for _, headers in cloud.prices.asked if "x-cg-demo-api-key" in headers}
    assert key == "secret-price-key"
    assert key not in cloud.log()


async def a_pool_fails(cloud: Cloud) -> None:
    """For several accounts in a row, so that its breaker opens."""
    cloud.upstream.script = failing
    for _ in range(3):
        await expect(cloud, await cloud.customer(), 502)
    cloud.upstream.script = type(cloud.upstream).script
    await expect(cloud, await cloud.customer(), 503)


async def failing(_asked: Asked, connection: Connection) -> None:
    await connection.reply(500, b"{}")


async def holdings_are_counted(cloud: Cloud) -> None:
    """Read chains and renew limits in every function that may, each finding nothing pinned and nothing claimed."""
    rate = {"price_usd": "0.01", "expires_at_unix_s": int(time.time()) + 3600, "reason": "a test"}
    answer = await cloud.admin.put("/price/rate", json=rate)
    assert answer.status_code == 200, (answer.text, cloud.log())
    evm, solana = EvmPerson(), SolanaPerson()
    wallet, other = wallet_from_text(evm.wallet), wallet_from_text(solana.wallet)
    assert wallet is not None
    assert other is not None
    cloud.token.mint(wallet, 1100 * 10**18)
    cloud.solana.hold(other, 500 * 10**6)
    for event in ({"now": True}, {}):
        await invoked(cloud, "HoldingsSnapshotFunction", event)
    door = await Door(cloud.client).signed_in(evm)
    assert await budget(door) == "11.00"
    answer = await door.ask("POST", "/account/v1/keys", {"name": "mine"})
    assert answer.is_success, (answer.text, cloud.log())
    key = answer.json()
    unknown_again(cloud, evm, entitled_day="2000-01-01")
    await expect(cloud, {"authorization": f"Bearer {key['key']}"}, 200)
    assert (await door.link(solana)).status_code in {200, 201}
    assert await budget(door) == "16.00"
    for path, body in (("refresh", {"account_id": key["account_id"]}), ("refresh", {}), ("snapshot", None)):
        unknown_again(cloud, evm)
        answer = await cloud.admin.post(f"/holdings/{path}", json=body)
        assert answer.status_code == 200, answer.text
    unknown_again(cloud, evm)
    cloud.token.transfer(wallet, evm_wallet(1), 1000 * 10**18)
    report = await invoked(cloud, "HoldingsRefreshFunction", {})
    assert (report["unread"], report["failed"]) == (0, 0)
    assert await budget(door) == "6.00"


async def budget(door: Door) -> str:
    answer = await door.ask("GET", "/account/v1/budget")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["limits"]["budget_usd_per_day"])


async def invoked(cloud: Cloud, function: str, event: dict[str, Any]) -> dict[str, Any]:
    reply = await cloud.stack.functions[function].invoke(event)
    assert isinstance(reply, Reply), (reply, cloud.log())
    report: dict[str, Any] = json.loads(await reply.whole())
    return report


def unknown_again(cloud: Cloud, person: EvmPerson, **account: str) -> None:
    """Forget what the day counts by, who claimed a wallet, and, as `entitled_day`, when its account got limits."""
    client = plain_client(cloud.aws.engine)
    client.delete_item(
        TableName=cloud.names.holdings, Key={"snapshot": {"S": "pin"}, "part": {"S": utc_day(int(time.time()))}}
    )
    key = {"wallet": {"S": person.wallet}}
    client.update_item(TableName=cloud.names.wallets, Key=key, UpdateExpression="REMOVE claimed_day, claimed_by")
    if account:
        owner = client.get_item(TableName=cloud.names.wallets, Key=key)["Item"]["account_id"]
        client.update_item(
            TableName=cloud.names.accounts,
            Key={"account_id": owner},
            UpdateExpression="SET entitled_day = :day",
            ExpressionAttributeValues={":day": {"S": account["entitled_day"]}},
        )
    client.close()


async def leave_behind(cloud: Cloud) -> dict[str, str]:
    """Kill the function in the middle of a customer's stream."""
    customer = await cloud.customer()
    cloud.upstream.script = never_ending
    async with cloud.client.stream("POST", CHAT, json=chat(stream=True), headers=headers_of(customer)) as answer:
        assert answer.status_code == 200
        await anext(answer.aiter_bytes())
        for environment in cloud.stack.functions["InferenceFunction"].environments:
            os.kill(environment.pid, signal.SIGKILL)
    cloud.upstream.script = type(cloud.upstream).script
    return customer


async def expect(cloud: Cloud, customer: dict[str, str], status: int, **more: Any) -> None:
    answer = await cloud.client.post(CHAT, json=chat(**more), headers=headers_of(customer))
    assert answer.status_code == status, (answer.text, cloud.log())


def headers_of(customer: dict[str, str]) -> dict[str, str]:
    return {"authorization": customer["authorization"]}


def put_yesterday(cloud: Cloud, number: int, *, wrong_by: int) -> str:
    """Store an account of three days ago whose yesterday has a reservation that nobody ended, and a wrong counter."""
    now = int(time.time())
    limits = Limits(requests=10, budget_nano_usd=10**9, concurrency=4)
    account = Account(ids.account_id(number), "books", limits, created_at_unix_s=now - 3 * DAY_S)
    key = account_window(account.id, utc_day(now - DAY_S))
    left = ids.reservation_id((now - DAY_S) * 1000, number)
    window = replace(opened(key, limits, 1), settled_nano_usd=wrong_by)
    client = plain_client(cloud.aws.engine)
    put_account(client, cloud.names, account)
    put_window(client, cloud.names, window, {left: Hold(100, now, "k")})
    client.close()
    return account.id


def old_customer(cloud: Cloud) -> dict[str, str]:
    """Store a customer of three days ago, with a capped key."""
    created = int(time.time()) - 3 * DAY_S
    client = plain_client(cloud.aws.engine)
    account = Account(
        ids.account_id(1), "old", Limits(requests=10, budget_nano_usd=10**9, concurrency=4), created_at_unix_s=created
    )
    secret = api_keys.compose(bytes(api_keys.SECRET_BYTES))
    key = ApiKey(
        id=ids.key_id(1),
        digest=api_keys.digest(secret),
        account_id=account.id,
        name="old",
        prefix=api_keys.shown_prefix(secret),
        caps=Limits(requests=5),
        created_at_unix_s=created,
    )
    put_account(client, cloud.names, account)
    put_key(client, cloud.names, key)
    client.close()
    return {"authorization": f"Bearer {secret}"}


async def never_ending(_asked: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    while not connection.closed:
        await connection.event(chunk("word "))
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "function",
    [
        "AccountFunction",
        "AdminFunction",
        "InferenceFunction",
        "PriceOracleFunction",
        "ReconciliationFunction",
        "ReservationSweeperFunction",
        "SiteFunction",
    ],
)
def test_what_a_function_may_do_is_listed(function: str) -> None:
    """A role that could not be read would prove nothing."""
    assert (permissions(function) == frozenset()) == (function == "SiteFunction")

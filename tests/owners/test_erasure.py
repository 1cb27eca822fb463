"""Erasing an account: what is known of its owner goes, the books stay, and nothing is gained by it."""

import asyncio
import json

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import Door, EvmPerson, SolanaPerson
from jatevo_testing.upstream import Held, ScriptedUpstream, answering, usage
from jatevo_testing.world import World

from jatevo.application.administration import Administration
from jatevo.application.administration.accounts import AccountChange
from jatevo.application.administration.erasure import NAME, Erased
from jatevo.application.administration.problems import NotThere, Refused
from jatevo.domain.calendar import DAY_S, day_start_unix_s, utc_day

SECRET_WORDS = ("marked prompt", "marked answer", "marked key name", "marked label")


@pytest.fixture
def administration(world: World) -> Administration:
    return world.gateway.administration()


@pytest.fixture
async def told(world: World, upstream: ScriptedUpstream, inside: Door, administration: Administration) -> str:
    """Ada's account, of which everything is stored that can be; returns its id."""
    world.apply_catalogue(base_url=upstream.base_url)
    upstream.script = answering("marked answer", usage(10, 20))
    account_id = await inside.account_id()
    limits = AccountChange(requests_per_day=10, budget_nano_usd_per_day=10**9, name="marked name")
    await administration.accounts.change(account_id, limits)
    await inside.link(SolanaPerson())
    key = {"name": "marked key name", "labels": {"customer": "marked label"}}
    secret = (await inside.ask("POST", "/account/v1/keys", key)).raise_for_status().json()["key"]
    headers = {"authorization": f"Bearer {secret}"}
    for more in ({}, {"input": "marked prompt " + "x" * 2000}):
        body = {"model": "test-model", "input": "marked prompt", "max_output_tokens": 50} | more
        assert (await world.client.post("/v1/responses", json=body, headers=headers)).status_code == 200
    return account_id


def everything(world: World) -> str:
    """Return all that any table holds, as text."""
    found = []
    for name in world.dynamodb.list_tables()["TableNames"]:
        if name.startswith(world.settings.table_prefix + "-"):
            found += world.dynamodb.scan(TableName=name)["Items"]
    return json.dumps(found, default=repr)


async def test_what_is_known_of_the_owner_goes_and_the_books_are_what_they_were(
    world: World, inside: Door, ada: EvmPerson, told: str, administration: Administration
) -> None:
    assert all(
        word in everything(world) for word in ("marked name", "marked key name", "marked label", ada.address.lower())
    )
    day = world.today()
    window, statement = await administration.books.window(told), await administration.books.statement(told)
    erased = await administration.erasure.erase(told)
    assert (erased.keys, erased.wallets, erased.stored_items) == (1, 2, 2)
    assert not any(word in everything(world) for word in ("marked name", *SECRET_WORDS))
    assert (await inside.ask("GET", "/account/v1/keys")).status_code == 401, "its sessions have ended"
    after = await administration.books.window(told)
    assert (after.settled_nano_usd, after.requests_left) == (window.settled_nano_usd, window.requests_left)
    assert (await administration.books.statement(told)).total == statement.total
    audit = await administration.corrections.audit(told, day)
    assert (audit.differences, audit.sums.entries) == ([], 2)
    account = await administration.accounts.get(told)
    assert (account.enabled, account.name) == (False, NAME)
    assert await administration.erasure.erase(told) == Erased(0, 0, 0), "there is nothing left"


async def test_a_wallet_ends_once_its_claim_is_over_unless_it_signs_in_again(
    world: World, outside: Door, ada: EvmPerson, told: str, administration: Administration, clock: ManualClock
) -> None:
    await administration.erasure.erase(told)
    item = world.dynamodb.get_item(TableName=world.names.wallets, Key={"wallet": {"S": ada.wallet}})["Item"]
    assert set(item) <= {"wallet", "ttl", "claimed_day", "claimed_by"}
    assert int(item["ttl"]["N"]) > day_start_unix_s(utc_day(clock.now_ms() // 1000)) + DAY_S
    again = await outside.signed_in(ada)
    assert await again.account_id() != told, "an erased account is not found again"
    item = world.dynamodb.get_item(TableName=world.names.wallets, Key={"wallet": {"S": ada.wallet}})["Item"]
    assert "ttl" not in item


async def test_an_account_is_not_erased_under_its_requests_but_takes_no_more(
    world: World, upstream: ScriptedUpstream, administration: Administration
) -> None:
    world.apply_catalogue(base_url=upstream.base_url)
    held = Held(answering("hello", usage(10, 20)))
    upstream.script = held
    customer = world.customer()
    under_way = asyncio.create_task(world.chat(customer))
    await held.asked.wait()
    with pytest.raises(Refused, match="under way"):
        await administration.erasure.erase(customer.account.id)
    assert (await world.chat(customer)).status_code == 403
    held.go_on.set()
    assert (await under_way).status_code == 200
    assert (await administration.erasure.erase(customer.account.id)).keys == 1
    assert (await world.chat(customer)).status_code == 401, "the key is unknown"


async def test_nobody_is_erased_who_is_not_there(administration: Administration) -> None:
    with pytest.raises(NotThere):
        await administration.erasure.erase("acct_nobody")

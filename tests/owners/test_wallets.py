"""Wallets: each belongs to one account at most, and the last one stays."""

import asyncio

import pytest
from fastapi import FastAPI
from jatevo_testing.owners import AUTH, Door, EvmPerson, SolanaPerson, code_of
from jatevo_testing.refusals import refused
from jatevo_testing.world import World

from jatevo.adapters.dynamodb.sessions import DynamoSessions
from jatevo.application.ports import StoreUnavailable
from jatevo.application.self_service.wallets import MAX_WALLETS_PER_ACCOUNT

WALLETS = "/account/v1/wallets"


async def wallets_of(door: Door) -> list[str]:
    return [wallet["wallet"] for wallet in (await door.ask("GET", WALLETS)).json()["wallets"]]


async def test_a_further_wallet_signs_in_to_the_same_account(outside: Door, inside: Door, ada: EvmPerson) -> None:
    second = SolanaPerson()
    linked = await inside.link(second)
    assert linked.status_code == 201
    assert (linked.json()["wallet"], linked.json()["chain"]) == (second.wallet, "solana")
    assert set(await wallets_of(inside)) == {ada.wallet, second.wallet}
    assert await (await outside.signed_in(second)).account_id() == await inside.account_id()


async def test_the_text_to_link_says_so_and_to_which_account(inside: Door) -> None:
    message = (await inside.challenge(EvmPerson(), link=True))["message"]
    assert f"Link this wallet to the Jatevo Gateway account {await inside.account_id()}." in message


async def test_linking_needs_a_session_of_the_account_in_the_text(outside: Door, inside: Door) -> None:
    bob, mallory = EvmPerson(), await outside.signed_in(EvmPerson())
    refused(
        await outside.ask("POST", f"{AUTH}/challenge", {"chain": "evm", "address": bob.address, "link": True}),
        401,
        "invalid_session",
    )
    for_ada = await inside.proof(bob, link=True)
    refused(await mallory.ask("POST", WALLETS, for_ada), 400, "unknown_nonce", param="nonce")
    refused(await outside.ask("POST", WALLETS, for_ada), 401, "invalid_session")
    assert (await inside.ask("POST", WALLETS, for_ada)).status_code == 201


async def test_somebody_elses_wallet_cannot_be_linked(outside: Door, inside: Door) -> None:
    bob = EvmPerson()
    await outside.signed_in(bob)
    refused(await inside.link(bob), 409, "wallet_linked")
    challenge = await inside.challenge(EvmPerson(), link=True)
    answer = await inside.ask(
        "POST", WALLETS, {"nonce": challenge["nonce"], "signature": bob.sign(challenge["message"])}
    )
    refused(answer, 401, "invalid_signature", param="signature")


async def test_of_two_accounts_that_race_for_a_wallet_one_gets_it(outside: Door, inside: Door, ada: EvmPerson) -> None:
    bob, wanted = EvmPerson(), EvmPerson()
    bobs = await outside.signed_in(bob)
    answers = await asyncio.gather(inside.link(wanted), bobs.link(wanted))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert ((await wallets_of(inside)).count(wanted.wallet), (await wallets_of(bobs)).count(wanted.wallet)) in {
        (1, 0),
        (0, 1),
    }


async def test_linking_a_wallet_again_changes_nothing(inside: Door, ada: EvmPerson) -> None:
    before = (await inside.ask("GET", WALLETS)).json()
    assert (await inside.link(ada)).status_code == 201
    assert (await inside.ask("GET", WALLETS)).json() == before


async def test_an_unlinked_wallet_is_free_and_its_sessions_end(outside: Door, inside: Door, ada: EvmPerson) -> None:
    second = EvmPerson()
    await inside.link(second)
    by_second = await outside.signed_in(second)
    assert (await inside.ask("DELETE", f"{WALLETS}/{second.wallet}")).status_code == 204
    assert code_of(await by_second.ask("GET", WALLETS)) == (401, "invalid_session")
    assert await wallets_of(inside) == [ada.wallet]
    assert await (await outside.signed_in(second)).account_id() != await inside.account_id()


async def test_unlinking_again_ends_the_sessions_that_a_failure_left(
    outside: Door, inside: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = EvmPerson()
    await inside.link(second)
    by_second = await outside.signed_in(second)

    async def fails(*_arguments: object) -> None:
        raise StoreUnavailable("the table does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(DynamoSessions, "end", fails)
        refused(await inside.ask("DELETE", f"{WALLETS}/{second.wallet}"), 503, "service_unavailable", kind="api_error")
    assert (await by_second.ask("GET", WALLETS)).status_code == 200
    refused(await inside.ask("DELETE", f"{WALLETS}/{second.wallet}"), 404, "not_found", param="wallet")
    assert code_of(await by_second.ask("GET", WALLETS)) == (401, "invalid_session")


async def test_an_unlinked_wallet_keeps_what_it_counted_for(inside: Door, world: World) -> None:
    second = EvmPerson()
    await inside.link(second)
    account_id = await inside.account_id()
    key = {"wallet": {"S": second.wallet}}
    claim = {":day": {"S": "2026-11-18"}, ":by": {"S": account_id}}
    world.dynamodb.update_item(
        TableName=world.names.wallets,
        Key=key,
        UpdateExpression="SET claimed_day = :day, claimed_by = :by",
        ExpressionAttributeValues=claim,
    )
    await inside.ask("DELETE", f"{WALLETS}/{second.wallet}")
    item = world.dynamodb.get_item(TableName=world.names.wallets, Key=key)["Item"]
    assert (item["claimed_day"], item["claimed_by"]) == (claim[":day"], claim[":by"])
    assert "account_id" not in item


async def test_the_last_wallet_stays_also_when_both_of_two_are_unlinked_at_once(inside: Door, ada: EvmPerson) -> None:
    refused(await inside.ask("DELETE", f"{WALLETS}/{ada.wallet}"), 409, "last_wallet")
    second = EvmPerson()
    await inside.link(second)
    answers = await asyncio.gather(*(inside.ask("DELETE", f"{WALLETS}/{person.wallet}") for person in (ada, second)))
    assert [answer.status_code for answer in answers].count(204) == 1


async def test_another_accounts_wallet_is_not_there(outside: Door, inside: Door) -> None:
    bob = EvmPerson()
    await outside.signed_in(bob)
    for text in (bob.wallet, EvmPerson().wallet, "nonsense", "eip155:0x", "a" * 2000, bob.wallet.upper()):
        refused(await inside.ask("DELETE", f"{WALLETS}/{text}"), 404, "not_found", param="wallet")


async def test_an_account_has_so_many_wallets(inside: Door, world: World) -> None:
    account_id = await inside.account_id()
    for number in range(MAX_WALLETS_PER_ACCOUNT - 1):
        item = {"wallet": {"S": f"eip155:0x{number:040x}"}, "account_id": {"S": account_id}}
        world.dynamodb.put_item(TableName=world.names.wallets, Item=item)
    refused(await inside.link(EvmPerson()), 409, "too_many_wallets")


async def test_changes_of_one_account_are_bounded(app: FastAPI, inside: Door) -> None:
    for _ in range(120):
        assert (await inside.ask("DELETE", f"{WALLETS}/x")).status_code == 404
    refused(await inside.ask("DELETE", f"{WALLETS}/x"), 429, "rate_limit_exceeded", kind="rate_limit_exceeded")
    assert (await inside.ask("GET", WALLETS)).status_code == 200
    assert (await inside.ask("POST", f"{AUTH}/logout")).status_code == 204

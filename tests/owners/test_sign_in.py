"""Signing in: only with the wallet's own signature, of exactly the text, once, in time; and what is refused else."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from jatevo_testing.chain import TestChain
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import (
    AUTH,
    SITE,
    ContractPerson,
    Door,
    EvmPerson,
    Person,
    SolanaPerson,
    code_of,
    door,
    undeployed,
)
from jatevo_testing.refusals import refused
from jatevo_testing.world import World

from jatevo.domain.accounts import LimitsFrom
from jatevo.domain.sign_in import LIFETIME_S, MAX_ATTEMPTS
from jatevo_account.handler import create_app

EVM_TEXT = """\
gateway.test wants you to sign in with your Ethereum account:
{address}

Sign in to Jatevo Gateway. This costs nothing and sends no transaction.

URI: https://gateway.test/prod
Version: 1
Chain ID: 1
Nonce: {nonce}
Issued At: 2026-11-18T11:06:40Z
Expiration Time: 2026-11-18T11:11:40Z"""


@pytest.mark.parametrize("person", [EvmPerson(), SolanaPerson()], ids=["evm", "solana"])
async def test_a_wallet_that_signs_its_text_gets_a_session_of_its_own_account(
    person: Person, outside: Door, world: World
) -> None:
    first = await outside.signed_in(person)
    again = await outside.signed_in(person)
    assert first.bearer != again.bearer
    account_id = await first.account_id()
    assert await again.account_id() == account_id
    account = await world.gateway.directory.account(account_id)
    assert account is not None
    assert account.limits_from is LimitsFrom.HOLDINGS
    assert (account.limits.requests, account.limits.budget_nano_usd) == (0, 0)
    wallets = (await first.ask("GET", "/account/v1/wallets")).json()["wallets"]
    assert [wallet["wallet"] for wallet in wallets] == [person.wallet]


async def test_the_text_is_exactly_that_of_eip_4361(outside: Door, ada: EvmPerson) -> None:
    challenge = await outside.challenge(ada)
    assert challenge["message"] == EVM_TEXT.format(address=ada.address, nonce=challenge["nonce"])
    assert re.fullmatch(r"[a-z0-9]{26}", challenge["nonce"])
    solana = SolanaPerson()
    message = (await outside.challenge(solana))["message"]
    assert message.startswith(f"gateway.test wants you to sign in with your Solana account:\n{solana.address}\n")
    assert "\nChain ID: mainnet\n" in message


async def test_the_text_names_our_site_whatever_a_client_calls_it(outside: Door, ada: EvmPerson) -> None:
    for name, value in {
        "host": "evil.test",
        "x-forwarded-host": "evil.test",
        "forwarded": "host=evil.test",
        "origin": "https://evil.test",
        "referer": "https://evil.test/",
    }.items():
        outside.more = {name: value}
        assert "evil" not in (await outside.challenge(ada))["message"]


@pytest.mark.parametrize(
    "altered",
    [
        lambda text: text.replace("gateway.test", "evil.test"),
        lambda text: text.replace("https://gateway.test/prod", "https://gateway.test"),
        lambda text: text.replace("Chain ID: ", "Chain ID: 9"),
        lambda text: text.replace("11:11:40", "23:11:40"),
        lambda text: text.replace("Version: 1", "Version: 2"),
        lambda text: text + "\n",
        lambda text: text.lower(),
        lambda text: "",
    ],
    ids=["domain", "uri", "chain", "expiry", "version", "longer", "case", "nothing"],
)
async def test_a_signature_of_any_other_text_is_refused(altered: Any, outside: Door) -> None:
    for person in (EvmPerson(), SolanaPerson()):
        challenge = await outside.challenge(person)
        answer = await outside.verify(challenge["nonce"], person.sign(altered(challenge["message"])))
        refused(answer, 401, "invalid_signature", param="signature")


async def test_another_wallets_signature_or_another_challenges_is_refused(outside: Door, ada: EvmPerson) -> None:
    bob, challenge, other = EvmPerson(), await outside.challenge(ada), await outside.challenge(ada)
    assert code_of(await outside.verify(challenge["nonce"], bob.sign(challenge["message"]))) == (
        401,
        "invalid_signature",
    )
    assert code_of(await outside.verify(challenge["nonce"], ada.sign(other["message"]))) == (401, "invalid_signature")
    for_bob = await outside.challenge(bob)
    assert code_of(await outside.verify(for_bob["nonce"], ada.sign(for_bob["message"]))) == (401, "invalid_signature")


async def test_a_challenge_serves_once(outside: Door, ada: EvmPerson) -> None:
    proof = await outside.proof(ada)
    assert (await outside.verify(**proof)).status_code == 200
    refused(await outside.verify(**proof), 400, "nonce_used", param="nonce")


async def test_of_many_who_race_with_one_signature_one_gets_a_session(outside: Door, ada: EvmPerson) -> None:
    proof = await outside.proof(ada)
    answers = await asyncio.gather(*(outside.verify(**proof) for _ in range(MAX_ATTEMPTS)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert {code_of(answer) for answer in answers if answer.status_code == 400} == {(400, "nonce_used")}


async def test_a_new_wallet_that_signs_in_many_times_at_once_gets_one_account(outside: Door, ada: EvmPerson) -> None:
    proofs = [await outside.proof(ada) for _ in range(6)]
    answers = await asyncio.gather(*(outside.verify(**proof) for proof in proofs))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["account_id"] for answer in answers}) == 1


async def test_a_challenge_ends_after_five_minutes(outside: Door, ada: EvmPerson, clock: ManualClock) -> None:
    in_time, late = await outside.proof(ada), await outside.proof(ada)
    clock.advance(LIFETIME_S - 1)
    assert (await outside.verify(**in_time)).status_code == 200
    clock.advance(1)
    refused(await outside.verify(**late), 400, "nonce_expired", param="nonce")


async def test_wrong_signatures_spend_only_the_challenge_they_are_sent_to(outside: Door, ada: EvmPerson) -> None:
    hers, thiefs = await outside.proof(ada), await outside.challenge(ada)
    for _ in range(MAX_ATTEMPTS):
        assert code_of(await outside.verify(thiefs["nonce"], "0x" + "11" * 65)) == (401, "invalid_signature")
    refused(await outside.verify(thiefs["nonce"], ada.sign(thiefs["message"])), 400, "too_many_attempts", param="nonce")
    assert (await outside.verify(**hers)).status_code == 200


@pytest.mark.parametrize("nonce", ["", "a", "a" * 26, "A" * 26, "../../../../../../../../../", "é" * 26, "a" * 64])
async def test_a_nonce_that_was_never_given_is_refused(nonce: str, outside: Door, ada: EvmPerson) -> None:
    refused(await outside.verify(nonce, ada.sign("")), 400, "unknown_nonce", param="nonce")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"chain": "eip155:137", "address": "0x" + "11" * 20}, "unsupported_chain", "chain"),
        ({"chain": "bitcoin", "address": "0x" + "11" * 20}, "unsupported_chain", "chain"),
        ({"chain": "", "address": "0x" + "11" * 20}, "unsupported_chain", "chain"),
        ({"chain": "ethereum", "address": "0x" + "11" * 19}, "invalid_value", "address"),
        ({"chain": "ethereum", "address": "vitalik.eth"}, "invalid_value", "address"),
        ({"chain": "ethereum", "address": "0x" + "\u0661" * 40}, "invalid_value", "address"),
        ({"chain": "solana", "address": "0x" + "11" * 20}, "invalid_value", "address"),
        ({"chain": "solana", "address": "1" * 44}, "invalid_value", "address"),
        ({"chain": "solana", "address": "1" * 129}, "invalid_value", "address"),
        ({"chain": "e" * 65, "address": "0x"}, "invalid_value", "chain"),
        ({"chain": "ethereum"}, "missing_required_parameter", "address"),
        ({"chain": "ethereum", "address": 1}, "invalid_type", "address"),
        ({"chain": "ethereum", "address": "0x" + "11" * 20, "domain": "x"}, "unsupported_parameter", "domain"),
        ([], "invalid_type", None),
    ],
)
async def test_a_challenge_for_no_wallet_is_refused_by_name(
    body: Any, code: str, param: str | None, outside: Door
) -> None:
    refused(await outside.ask("POST", f"{AUTH}/challenge", body), 400, code, param=param)


async def test_any_spelling_of_an_address_and_of_our_chain_is_the_same_wallet(outside: Door, ada: EvmPerson) -> None:
    messages = set()
    for chain in ("ethereum", "evm", "eip155:1"):
        for address in (ada.address, ada.address.lower(), ada.address.upper()):
            answer = await outside.ask("POST", f"{AUTH}/challenge", {"chain": chain, "address": address})
            messages.add(answer.json()["message"].split("\n")[1])
    assert messages == {ada.address}


@pytest.mark.parametrize(
    "signature", ["", "0x", "garbage", "0x" + "00" * 65, "0x" + "ff" * 65, "é" * 100, "1" * 32_000]
)
async def test_garbage_for_a_signature_is_refused(signature: str, outside: Door) -> None:
    for person in (EvmPerson(), SolanaPerson()):
        challenge = await outside.challenge(person)
        assert code_of(await outside.verify(challenge["nonce"], signature)) == (401, "invalid_signature")


async def test_what_is_too_large_is_refused_unread(outside: Door, ada: EvmPerson) -> None:
    challenge = await outside.challenge(ada)
    refused(await outside.verify(challenge["nonce"], "1" * 40_000), 400, "invalid_value", param="signature")
    refused(await outside.verify(challenge["nonce"], "1" * 70_000), 413, "request_too_large")
    assert (await outside.verify(challenge["nonce"], ada.sign(challenge["message"]))).status_code == 200


async def test_only_json_is_taken_so_that_no_form_can_sign_a_browser_in(outside: Door, ada: EvmPerson) -> None:
    proof = await outside.proof(ada)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await outside.client.post(f"{AUTH}/verify", content=str(proof), headers={"content-type": kind})
        assert code_of(answer) == (400, "invalid_request")
    answer = await outside.client.post(f"{AUTH}/verify", content=b"{", headers={"content-type": "application/json"})
    assert code_of(answer) == (400, "invalid_json")


async def test_a_mirrored_signature_is_refused(outside: Door, ada: EvmPerson) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    challenge = await outside.challenge(ada)
    signature = bytes.fromhex(ada.sign(challenge["message"])[2:])
    mirrored = signature[:32] + (order - int.from_bytes(signature[32:64])).to_bytes(32) + bytes([55 - signature[64]])
    assert code_of(await outside.verify(challenge["nonce"], mirrored.hex())) == (401, "invalid_signature")


async def test_a_signature_to_link_does_not_sign_in_and_the_other_way_round(
    outside: Door, inside: Door, ada: EvmPerson
) -> None:
    bob = EvmPerson()
    to_link = await inside.proof(bob, link=True)
    refused(await outside.verify(**to_link), 400, "unknown_nonce", param="nonce")
    to_sign_in = await outside.proof(bob)
    answer = await inside.ask("POST", "/account/v1/wallets", to_sign_in)
    refused(answer, 400, "unknown_nonce", param="nonce")


async def test_attempts_are_bounded_by_where_they_come_from(app: FastAPI, clock: ManualClock) -> None:
    async with (
        door(app, "2001:db8:1:2::1") as one,
        door(app, "2001:db8:1:2:3::1") as same,
        door(app, "2001:db8:9::1") as other,
    ):
        statuses = [
            (await one.ask("POST", f"{AUTH}/challenge", {"chain": "solana", "address": "x"})).status_code
            for _ in range(30)
        ]
        assert statuses == [400] * 30
        answer = await same.ask("POST", f"{AUTH}/challenge", {"chain": "solana", "address": "x"})
        refused(answer, 429, "rate_limit_exceeded", kind="rate_limit_exceeded")
        assert 0 < int(answer.headers["retry-after"]) <= 600
        same.more = {"x-forwarded-for": "203.0.113.9"}
        assert code_of(await same.ask("POST", f"{AUTH}/challenge", {"chain": "x", "address": "x"}))[0] == 429
        await other.challenge(EvmPerson())
        clock.advance(int(answer.headers["retry-after"]))
        await one.challenge(EvmPerson())


async def test_signatures_are_bounded_by_where_they_come_from(app: FastAPI) -> None:
    async with door(app, "198.51.100.20") as guesser, door(app, "198.51.100.21") as other:
        statuses = [(await guesser.verify("a" * 26, "00")).status_code for _ in range(31)]
        assert statuses == [400] * 30 + [429]
        await other.signed_in(EvmPerson())


async def test_nobody_who_sends_nonsense_in_others_names_keeps_them_out(app: FastAPI, ada: EvmPerson) -> None:
    statuses = []
    for number in range(11):
        async with door(app, f"203.0.113.{number}") as flooder:
            for _ in range(6):
                nonce = (await flooder.challenge(ada))["nonce"]
                statuses += [(await flooder.verify(nonce, "0x" + "11" * 65)).status_code for _ in range(MAX_ATTEMPTS)]
    assert statuses == [401] * 300 + [429] * 30
    async with door(app, "198.51.100.30") as own:
        await own.signed_in(ada)


async def test_a_disabled_account_lets_nobody_in(outside: Door, inside: Door, ada: EvmPerson, world: World) -> None:
    world.dynamodb.update_item(
        TableName=world.names.accounts,
        Key={"account_id": {"S": await inside.account_id()}},
        UpdateExpression="SET enabled = :no",
        ExpressionAttributeValues={":no": {"BOOL": False}},
    )
    kind = "permission_error"
    refused(await inside.ask("GET", "/account/v1/keys"), 403, "account_disabled", kind=kind)
    refused(await outside.verify(**await outside.proof(ada)), 403, "account_disabled", kind=kind)


async def test_contract_wallets_sign_in_deployed_or_not(chain: TestChain, outside: Door) -> None:
    owner = EvmPerson()
    factory = chain.node.deploy("wallet_factory", chain.node.deploy("smart_wallet", chain.node.accounts()[0]))
    deployed = ContractPerson(owner, chain.node.deploy("smart_wallet", owner.address))
    not_yet = ContractPerson(owner, undeployed(chain.node, factory, owner.address), factory)
    accounts = {await (await outside.signed_in(person)).account_id() for person in (owner, deployed, not_yet)}
    assert len(accounts) == 3
    for wallet in (deployed, not_yet):
        stranger = ContractPerson(EvmPerson(), wallet.address, wallet.factory)
        assert code_of(await outside.verify(**await outside.proof(stranger))) == (401, "invalid_signature")


async def test_a_contract_wallet_is_told_to_try_again_when_its_chain_does_not_answer(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.gateway, "_nodes", lambda *_: ("http://127.0.0.1:9",))
    async with door(app) as outside:
        challenge = await outside.challenge(EvmPerson())
        answer = await outside.verify(challenge["nonce"], "0x" + "11" * 65)
        refused(answer, 503, "service_unavailable", kind="api_error")


async def test_nobody_signs_in_where_no_public_url_is_set(dynoxide: str, world: World) -> None:
    closed = World(dynoxide, world.settings.table_prefix, replace(world.settings, public_url=""))
    async with door(create_app(closed.gateway)) as outside:
        body = {"chain": "solana", "address": SolanaPerson().address}
        refused(await outside.ask("POST", f"{AUTH}/challenge", body), 503, "service_unavailable", kind="api_error")
    await closed.close()


async def test_no_log_has_a_token_a_nonce_or_a_signature(
    outside: Door, ada: EvmPerson, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    proof = await outside.proof(ada)
    token = (await outside.verify(**proof)).json()["token"]
    await outside.verify(**proof)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("jatevo"))
    assert not any(secret in ours for secret in (token, token[-20:], proof["nonce"], proof["signature"]))
    assert SITE not in ours

"""An owner's whole day against the functions as built: sign in, a key, a chat, a sale, and limits that fall."""

import time
from typing import Any

import openai
import pytest
from jatevo_testing.chain import evm_wallet
from jatevo_testing.cloud import Cloud
from jatevo_testing.holders import solana_wallet
from jatevo_testing.owners import (
    AUTH,
    ContractPerson,
    Door,
    EvmPerson,
    Person,
    SolanaPerson,
    code_of,
    undeployed,
)
from jatevo_testing.upstream import answering, usage

from jatevo.domain.money import parse_usd
from jatevo.domain.wallets import Wallet, wallet_from_text
from jatevo_local.lambda_api.calls import Reply

HELLO: Any = [{"role": "user", "content": "hello"}]
EVM_TOKEN, SOLANA_TOKEN = 10**18, 10**6


@pytest.mark.slow
async def test_who_sells_the_tokens_has_lower_limits_at_the_next_refresh(cloud: Cloud) -> None:
    cloud.upstream.script = answering("hello you there", usage(5, 3))
    rate = {"price_usd": "1.00", "expires_at_unix_s": int(time.time()) + 3600, "reason": "a test"}
    assert (await cloud.admin.put("/price/rate", json=rate)).status_code == 200
    evm, solana = EvmPerson(), SolanaPerson()
    cloud.token.mint(wallet_of(evm), 11 * EVM_TOKEN)
    cloud.solana.hold(wallet_of(solana), 11 * SOLANA_TOKEN)
    await scheduled(cloud, "HoldingsSnapshotFunction", now=True)
    owners = [await arrived(cloud, person) for person in (evm, solana)]

    cloud.token.transfer(wallet_of(evm), evm_wallet(77), 8 * EVM_TOKEN)
    cloud.solana.transfer(wallet_of(solana), solana_wallet(77), 8 * SOLANA_TOKEN)
    await scheduled(cloud, "HoldingsRefreshFunction")

    for door, key in owners:
        await has_three_left_in_all(cloud, door, key)
        assert not [secret for secret in (door.bearer, key) if secret in cloud.log()]
    assert cloud.aws.refused == []


@pytest.mark.slow
async def test_contract_wallets_sign_in_deployed_or_not(cloud: Cloud) -> None:
    owner, node, outside = EvmPerson(), cloud.token.chain.node, Door(cloud.client)
    factory = node.deploy("wallet_factory", node.deploy("smart_wallet", node.accounts()[0]))
    deployed = ContractPerson(owner, node.deploy("smart_wallet", owner.address))
    not_yet = ContractPerson(owner, undeployed(node, factory, owner.address), factory)
    for person in (deployed, not_yet):
        signed_in = await outside.signed_in(person)
        assert (await signed_in.ask("GET", f"{AUTH}/session")).json()["wallet"] == person.wallet
    stranger = ContractPerson(EvmPerson(), deployed.address)
    assert code_of(await outside.verify(**await outside.proof(stranger))) == (401, "invalid_signature")
    assert cloud.aws.refused == []


async def arrived(cloud: Cloud, person: Person) -> tuple[Door, str]:
    """Sign in, read why the budget is what it is, make a key, chat, and see both counters fall."""
    door = await Door(cloud.client).signed_in(person)
    before = await budget(door)
    assert limits(before) == (11, "11.00"), before
    assert before["entitlement"]["explanation"].startswith("11 tokens × $1.00 = $11.00")
    made = (await door.ask("POST", "/account/v1/keys", {"name": "mine"})).raise_for_status().json()
    cost = await chatted(cloud, made["key"])
    today = (await budget(door))["today"]
    assert (today["requests_used"], today["requests_remaining"]) == (1, 10)
    assert parse_usd(today["budget_spent_usd"]) == cost > 0
    assert parse_usd(today["budget_remaining_usd"]) == parse_usd("11.00") - cost
    return door, made["key"]


async def has_three_left_in_all(cloud: Cloud, door: Door, key: str) -> None:
    """One of three requests is used; two more are answered, and the next is refused."""
    after = await budget(door)
    assert limits(after) == (3, "3.00"), after
    assert after["today"]["requests_remaining"] == 2
    assert [why["code"] for why in after["entitlement"]["why"]] == ["sold_since"]
    for _ in range(2):
        await chatted(cloud, key)
    with pytest.raises(openai.RateLimitError) as refused:
        await chatted(cloud, key)
    assert refused.value.code == "request_quota_exhausted"


async def chatted(cloud: Cloud, key: str) -> int:
    """Return what a chat cost."""
    async with openai.AsyncOpenAI(base_url=f"{cloud.stack.url}/v1", api_key=key, max_retries=0) as client:
        done = await client.chat.completions.create(model="test-model", messages=HELLO, max_tokens=5)
    assert done.usage is not None
    return parse_usd(done.usage.model_dump()["cost_usd"])


async def scheduled(cloud: Cloud, function: str, **event: object) -> None:
    reply = await cloud.stack.functions[function].invoke(event)
    assert isinstance(reply, Reply), (reply, cloud.log())


async def budget(door: Door) -> dict[str, Any]:
    answer = await door.ask("GET", "/account/v1/budget")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def limits(shown: dict[str, Any]) -> tuple[int, str]:
    return shown["limits"]["requests_per_day"], shown["limits"]["budget_usd_per_day"]


def wallet_of(person: Person) -> Wallet:
    wallet = wallet_from_text(person.wallet)
    assert wallet is not None
    return wallet

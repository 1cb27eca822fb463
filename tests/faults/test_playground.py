"""
The playground between gateways in processes of their own: what one lets in, the others count.

Every limit is spent from many connections at once, spread over the processes, and none is passed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from jatevo_testing.gateway import GatewayProcess, gateways
from jatevo_testing.owners import ORIGIN, SITE, EvmPerson, door
from jatevo_testing.tables import fresh_tables, put_account
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, USD, World

from jatevo.application.playground import ACCOUNT_ID, KEY_ID
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import LimitsFrom, account_window
from jatevo.domain.sessions import csrf_token
from jatevo.domain.windows import Limits, unbalanced_nano_usd
from jatevo_account.handler import create_app as account_app

PATH = "/playground/v1/chat/completions"
PROCESSES = 3
VISITOR, EVERYBODY, OWNER = 4, 6, 5
"""Requests a day of the one visitor that loopback is, of all visitors, and of a signed-in owner."""
SETTINGS = Settings(
    directory_keep_ms=0,
    public_url=SITE,
    playground="on",
    playground_requests_per_day=EVERYBODY,
    playground_visitor_requests_per_day=VISITOR,
)


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        made = World(dynoxide, names.windows.removesuffix("-windows"), SETTINGS)
        document = {
            "pools": [{"id": "main", "base_url": upstream.base_url}],
            "models": [MODEL],
        }
        made.put_catalogue(document)
        yield made
        await made.close()


async def asked(running: list[GatewayProcess], times: int, **headers: str) -> Counter[int]:
    """Ask all gateways in turn, `times` in all, again where only a slot was missing; return the statuses."""
    body: dict[str, Any] = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}]}
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def one(client: httpx.AsyncClient, place: int) -> int:
        url = f"{running[place % len(running)].base_url}{PATH}"
        while True:
            answer = await client.post(url, json=body, headers=sent)
            if answer.status_code != 429 or answer.json()["error"]["code"] != "concurrency_limit":
                return answer.status_code

    async with httpx.AsyncClient(timeout=30) as client:
        return Counter(await asyncio.gather(*(one(client, place) for place in range(times))))


async def at_rest(world: World, account_id: str) -> int:
    """Return how many requests of today an account's window counts; its books add up, and nothing is open."""
    window = await world.gateway.windows.read(account_window(account_id, world.today()))
    assert window is not None
    assert not window.open
    assert unbalanced_nano_usd(window) == 0
    return window.limits.requests - window.requests_left


async def test_a_visitor_s_quota_is_one_whatever_process_and_whatever_headers(world: World) -> None:
    async with gateways(world.settings, [None] * PROCESSES) as running:
        first = await asked(running, 5, x_forwarded_for="203.0.113.7")
        rest = await asked(running, 7, forwarded="for=203.0.113.8", x_real_ip="203.0.113.9")
    assert first + rest == Counter({200: VISITOR, 429: 12 - VISITOR})
    assert await at_rest(world, ACCOUNT_ID) == VISITOR


async def test_all_visitors_share_one_cap_in_every_process(world: World) -> None:
    lone = replace(world.settings, playground_visitor_requests_per_day=100)
    async with gateways(lone, [None] * PROCESSES) as running:
        assert await asked(running, 15) == Counter({200: EVERYBODY, 429: 15 - EVERYBODY})
    assert await at_rest(world, ACCOUNT_ID) == EVERYBODY


async def test_an_owner_who_is_signed_in_spends_its_own_day_by_token_and_by_cookie(world: World) -> None:
    async with door(account_app(world.gateway)) as outside:
        inside = await outside.signed_in(EvmPerson())
        owner = await inside.account_id()
    account = await world.gateway.directory.account(owner, fresh=True)
    assert account is not None
    limits = Limits(requests=OWNER, budget_nano_usd=USD, concurrency=8)
    put_account(
        world.dynamodb, world.names, replace(account, limits=limits, limits_from=LimitsFrom.OPERATOR, version=2)
    )
    cookie, proof = f"__Host-jatevo-session={inside.bearer}", csrf_token(inside.bearer)

    async with gateways(world.settings, [None] * PROCESSES) as running:
        by_token, by_cookie, alone = await asyncio.gather(
            asked(running, 6, authorization=f"Bearer {inside.bearer}"),
            asked(running, 6, cookie=cookie, origin=ORIGIN, x_csrf_token=proof),
            asked(running, 3, cookie=cookie, origin=ORIGIN),
        )
    assert by_token + by_cookie == Counter({200: OWNER, 429: 12 - OWNER})
    assert alone == Counter({403: 3})
    assert await at_rest(world, owner) == OWNER
    entries = await world.gateway.ledger.entries(owner, world.today())
    assert [entry.key_id for entry in entries] == [KEY_ID] * OWNER
    assert await world.gateway.windows.read(account_window(ACCOUNT_ID, world.today())) is None


async def test_without_a_playground_every_process_says_so(world: World) -> None:
    async with gateways(replace(world.settings, playground="off"), [None]) as running:
        assert await asked(running, 2) == Counter({404: 2})


async def test_visitors_get_the_listed_models_only(world: World) -> None:
    async with gateways(replace(world.settings, playground_models="another-model"), [None]) as running:
        assert await asked(running, 2) == Counter({403: 2})

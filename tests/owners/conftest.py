"""An account app of a gateway whose clock stands still, with the test catalogue applied."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from jatevo_testing.chain import TestChain
from jatevo_testing.clocks import ManualClock
from jatevo_testing.owners import SITE, Door, EvmPerson, door
from jatevo_testing.tables import fresh_tables
from jatevo_testing.world import MODEL, World

from jatevo.bootstrap import Settings
from jatevo_account.handler import create_app

PRIVATE: dict[str, Any] = MODEL | {"id": "hidden-model", "private": True}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(dynoxide: str, clock: ManualClock, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """With the marker-free fixture `chain` in use, contract wallets are asked on it."""
    more: dict[str, Any] = {}
    if "chain" in request.fixturenames:
        chain: TestChain = request.getfixturevalue("chain")
        more = {"evm_chain_id": chain.chain_id, "evm_rpc_urls": f"http://127.0.0.1:9, {chain.url}", "chain_lag_s": 0}
    settings = Settings(directory_keep_ms=0, public_url=SITE, **more)
    with fresh_tables(dynoxide) as names:
        made = World(dynoxide, names.windows.removesuffix("-windows"), settings, clock)
        made.apply_catalogue(MODEL, PRIVATE, base_url="http://127.0.0.1:9")
        yield made
        await made.close()


@pytest.fixture
def app(world: World) -> FastAPI:
    return create_app(world.gateway)


@pytest.fixture
async def outside(app: FastAPI) -> AsyncIterator[Door]:
    """The app as somebody sees it who is not signed in."""
    async with door(app) as opened:
        yield opened


@pytest.fixture
def ada() -> EvmPerson:
    return EvmPerson()


@pytest.fixture
async def inside(outside: Door, ada: EvmPerson) -> Door:
    """The app as Ada sees it, who is signed in."""
    return await outside.signed_in(ada)

"""A gateway that serves a whole file of tests: each brings a customer of its own."""

from collections.abc import AsyncIterator

import pytest
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, World

from jatevo.bootstrap import Settings

FLAT_MODEL = MODEL | {"id": "flat-model", "price": {"input": "0", "output": "0", "request": "1.00"}}
"""Each request costs one dollar before margin, so that what is reserved is what is charged."""
TOP_UP_URL = "https://example.test/top-up"


@pytest.fixture
async def lasting_upstream(module_upstream: ScriptedUpstream) -> ScriptedUpstream:
    """The upstream of `lasting_world`, as if nothing had been asked of it yet."""
    module_upstream.asked.clear()
    module_upstream.script = ScriptedUpstream.script
    return module_upstream


@pytest.fixture
async def lasting_world(module_world: World, lasting_upstream: ScriptedUpstream) -> World:
    return module_world


@pytest.fixture(scope="module")
async def module_upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
async def module_world(dynoxide: str, module_upstream: ScriptedUpstream) -> AsyncIterator[World]:
    settings = Settings(directory_keep_ms=0, top_up_url=TOP_UP_URL)
    with fresh_tables(dynoxide) as names:
        made = World(dynoxide, names.windows.removesuffix("-windows"), settings)
        made.apply_catalogue(MODEL, FLAT_MODEL, base_url=module_upstream.base_url)
        yield made
        await made.close()

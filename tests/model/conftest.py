"""The small stage of the exact tests: a customer with a plain key, or with a capped one."""

from collections.abc import AsyncIterator, Iterator

import pytest
from jatevo_testing.simulation.processes import Engine, connected
from jatevo_testing.stage import CAPS, Place, on_stage


@pytest.fixture(scope="module")
def engine(dynoxide: str) -> Iterator[Engine]:
    with connected(dynoxide) as engine:
        yield engine


@pytest.fixture(params=["plain", "capped"])
async def place(engine: Engine, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with on_stage(engine, caps=CAPS if request.param == "capped" else None) as made:
        yield made

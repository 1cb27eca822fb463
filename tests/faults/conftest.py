"""A gateway behind a real server, over an upstream that misbehaves as each test wants."""

from collections.abc import AsyncIterator

import pytest
from jatevo_testing.bench import Bench, bench_over
from jatevo_testing.fleet import Fleet, fleet_over


@pytest.fixture(scope="module")
async def lasting_bench(dynoxide: str) -> AsyncIterator[Bench]:
    async with bench_over(dynoxide) as made:
        yield made


@pytest.fixture
async def bench(lasting_bench: Bench) -> Bench:
    """The bench of the file, with nothing asked of its upstream yet."""
    lasting_bench.upstream.asked.clear()
    return lasting_bench


@pytest.fixture(scope="module")
async def lasting_fleet(dynoxide: str) -> AsyncIterator[Fleet]:
    async with fleet_over(dynoxide) as made:
        yield made


@pytest.fixture
async def fleet(lasting_fleet: Fleet) -> Fleet:
    """The fleet of the file, with nothing known of its pools and nothing asked of them yet."""
    lasting_fleet.reset()
    return lasting_fleet

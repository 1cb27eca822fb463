"""Engines for the whole run, tables and gateways for each test."""

import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from jatevo_testing.chain import TestChain, running_chain
from jatevo_testing.days import FILE_S, TEST_S, wait_before_s
from jatevo_testing.effort import load_hypothesis_profile
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide, start_extenddb
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

load_hypothesis_profile()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Begin no test that the end of a day would fall into; what is waited for it is no part of the test's time."""
    first = item.path not in _begun
    _begun.add(item.path)
    long = first or item.get_closest_marker("slow") is not None
    time.sleep(wait_before_s(time.time(), FILE_S if long else TEST_S))
    return (yield)


_begun: set[Path] = set()
"""Files of which a test has begun."""


@pytest.fixture(scope="session", autouse=True)
def aws_environment() -> Iterator[None]:
    """Example credentials, so that no client ever looks for real ones."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in AWS_ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def dynoxide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a Dynoxide in memory."""
    folder: Path = tmp_path_factory.mktemp("dynoxide")
    with Children(folder, say=lambda _: None) as children:
        yield start_dynoxide(children, free_port()).endpoint_url


@pytest.fixture(scope="session")
def extenddb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an ExtendDB in memory: the second opinion."""
    folder: Path = tmp_path_factory.mktemp("extenddb")
    with Children(folder, say=lambda _: None) as children:
        yield start_extenddb(children, free_port()).endpoint_url


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestChain]:
    """A real EVM chain in memory, for the whole run: each test deploys contracts of its own."""
    with running_chain(tmp_path_factory.mktemp("anvil")) as running:
        yield running


@pytest.fixture
def tables(dynoxide: str) -> Iterator[TableNames]:
    with fresh_tables(dynoxide) as names:
        yield names


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest.fixture
async def world(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream) -> AsyncIterator[World]:
    """A gateway over Dynoxide and the scripted upstream, with the test catalogue applied."""
    made = World(dynoxide, tables.windows.removesuffix("-windows"))
    made.apply_catalogue(base_url=upstream.base_url)
    yield made
    await made.close()

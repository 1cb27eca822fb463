"""Both engines, each with tables for a whole module: a test takes names of its own instead."""

from collections.abc import Iterator
from itertools import count

import pytest
from jatevo_testing.simulation.processes import Engine, connected


@pytest.fixture(scope="module", params=["dynoxide", "extenddb"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with connected(request.getfixturevalue(request.param)) as engine:
        yield engine


@pytest.fixture(scope="module")
def counted() -> Iterator[int]:
    return count()

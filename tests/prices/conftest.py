"""Price APIs on loopback, and a chain."""

from collections.abc import Iterator

import pytest
from jatevo_testing.chain import TestChain, running_chain
from jatevo_testing.price_apis import PriceApis, price_apis


@pytest.fixture
def apis() -> Iterator[PriceApis]:
    with price_apis() as made:
        yield made


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestChain]:
    with running_chain(tmp_path_factory.mktemp("chain")) as running:
        yield running

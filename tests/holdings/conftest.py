"""Token holders over Dynoxide."""

from collections.abc import AsyncIterator

import pytest
from jatevo_testing.holders import Holders, holders_on

from jatevo.adapters.dynamodb.schema import TableNames


@pytest.fixture
async def holders(dynoxide: str, tables: TableNames) -> AsyncIterator[Holders]:
    async with holders_on(dynoxide, tables) as made:
        yield made

"""The ledger on two real engines: the first decision stands, and a book is read in order."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from jatevo_testing.simulation.processes import Engine

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.domain import ids
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason, Timings
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import WindowKey
from jatevo_local.engine import REGION

DAY = "2026-11-23"
IDS = [ids.reservation_id(1_795_003_200_000 + place, place) for place in range(8)]


@pytest.fixture
async def ledger(engine: Engine) -> AsyncIterator[DynamoLedger]:
    client = DynamoClient(ClientOptions(REGION, engine.endpoint_url))
    yield DynamoLedger(client, engine.names)
    client.close()


def entry(name: int) -> LedgerEntry:
    return LedgerEntry(
        account_id=f"acct_{name}",
        day=DAY,
        reservation_id=IDS[0],
        outcome=Outcome.CHARGED,
        reason=Reason.ANSWERED,
        reserved_nano_usd=10**18,
        windows=(WindowKey("acct_a/key_b", DAY), WindowKey("acct_a", DAY)),
        key_id="key_abcdefghij",
        model="m",
        lane="shared",
        price_version=7,
        usage=TokenUsage(*range(9, 0, -1)),
        usage_source=UsageSource.REPORTED,
        figures=Figures(3, -1, 2, 4, 5),
        timings=Timings(duration_ms=12, first_token_ms=3),
        decided_at_ms=1_795_003_200_123,
    )


async def test_the_first_decision_stands_and_everybody_is_told_it(ledger: DynamoLedger, counted: Iterator[int]) -> None:
    first = entry(next(counted))
    other = replace(first, outcome=Outcome.EXPIRED, reason=Reason.ABANDONED, figures=Figures())
    assert await ledger.decide(first) == first
    assert await ledger.decide(other) == first
    assert await ledger.decide(first) == first
    assert await ledger.entries(first.account_id, DAY) == [first]


async def test_a_book_is_read_in_order_between_two_ids(ledger: DynamoLedger, counted: Iterator[int]) -> None:
    first = entry(next(counted))
    written = [replace(first, reservation_id=name) for name in IDS]
    for one in reversed(written):
        await ledger.decide(one)
    book = (first.account_id, DAY)
    assert await ledger.entries(*book) == written
    assert await ledger.entries(*book, limit=3) == written[:3]
    assert await ledger.entries(*book, after=IDS[2]) == written[3:]
    assert await ledger.entries(*book, after=IDS[2], before=IDS[5]) == written[3:5]
    assert await ledger.entries(first.account_id, "2026-11-24") == []

"""Stored responses on two real engines: whole or not at all, one account's alone, gone when deleted or expired."""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.processes import Engine

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.responses import MOST_INLINE_BYTES, DynamoResponses
from jatevo.application.ports import OutcomeUnknown
from jatevo.application.responses import RECORDS_KEPT_S, ResponseRecord, TooLargeToKeep
from jatevo_local.engine import REGION

NOW_S = 1_795_000_000
SAID = {"id": "msg_1", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "grüezi \ud83d"}]}


@dataclass
class Shelf:
    """Objects in memory, which can be made to fail."""

    kept: dict[str, bytes] = field(default_factory=dict)
    broken: bool = False

    async def put(self, name: str, data: bytes) -> None:
        self._check()
        self.kept[name] = data

    async def get(self, name: str) -> bytes | None:
        self._check()
        return self.kept.get(name)

    async def delete(self, name: str) -> None:
        self._check()
        self.kept.pop(name, None)

    def _check(self) -> None:
        if self.broken:
            raise OutcomeUnknown("broken")


@dataclass
class Place:
    engine: Engine
    clock: ManualClock
    shelf: Shelf
    small: DynamoResponses
    large: DynamoResponses
    account: str

    def record(self, text: str = "hello", **more: Any) -> ResponseRecord:
        answer = {"id": "resp_1", "object": "response", "output": [{"type": "message", "text": text}]}
        kept = ResponseRecord(
            "resp_1", self.account, NOW_S, "m", answer, (SAID,), (SAID, SAID), NOW_S + RECORDS_KEPT_S, "conv_1"
        )
        return replace(kept, **more)

    def item(self, account: str | None = None) -> dict[str, Any]:
        key = {"account_id": {"S": account or self.account}, "item": {"S": "resp_1"}}
        answer = self.engine.calls.get_item(TableName=self.engine.names.responses, Key=key, ConsistentRead=True)
        found: dict[str, Any] = answer.get("Item", {})
        return found


@pytest.fixture
async def place(engine: Engine, counted: Iterator[int]) -> AsyncIterator[Place]:
    client, clock, shelf = DynamoClient(ClientOptions(REGION, engine.endpoint_url)), ManualClock(NOW_S * 1000), Shelf()
    small = DynamoResponses(client, engine.names, clock)
    large = DynamoResponses(client, engine.names, clock, shelf)
    yield Place(engine, clock, shelf, small, large, f"acct_{next(counted)}")
    client.close()


def noise(count: int) -> str:
    """Return text that does not shrink below `count` bytes."""
    return random.Random(1).randbytes(count).hex()


async def test_what_is_put_is_got_back_word_for_word(place: Place) -> None:
    record = place.record("grüezi 👋")
    await place.small.put(record)
    assert await place.small.get(place.account, "resp_1") == record


async def test_a_response_is_its_accounts_alone(place: Place) -> None:
    await place.small.put(place.record())
    assert await place.small.get("acct_other", "resp_1") is None
    assert not await place.small.delete("acct_other", "resp_1")
    assert await place.small.get(place.account, "resp_1") is not None


async def test_a_response_ends_on_the_second_whether_or_not_its_item_is_still_there(place: Place) -> None:
    await place.small.put(place.record())
    place.clock.advance(RECORDS_KEPT_S - 1)
    assert await place.small.get(place.account, "resp_1") is not None
    place.clock.advance(1)
    assert await place.small.get(place.account, "resp_1") is None
    assert not await place.small.delete(place.account, "resp_1")


async def test_the_table_is_told_when_an_item_ends(place: Place) -> None:
    await place.small.put(place.record())
    assert place.item()["ttl"] == {"N": str(NOW_S + RECORDS_KEPT_S)}


async def test_deleting_removes_the_content_for_good_and_once(place: Place) -> None:
    await place.small.put(place.record())
    assert await place.small.delete(place.account, "resp_1")
    assert await place.small.get(place.account, "resp_1") is None
    assert not await place.small.delete(place.account, "resp_1")
    assert set(place.item()) == {"account_id", "item", "ttl", "deleted"}


async def test_a_put_that_lands_late_brings_nothing_back(place: Place) -> None:
    await place.small.put(place.record())
    assert await place.small.delete(place.account, "resp_1")
    await place.small.put(place.record())
    assert await place.small.get(place.account, "resp_1") is None
    assert "document" not in place.item()


async def test_an_unknown_response_is_none(place: Place) -> None:
    assert await place.small.get(place.account, "resp_1") is None
    assert not await place.small.delete(place.account, "resp_1")


async def test_text_of_more_than_an_item_holds_fits_when_it_shrinks(place: Place) -> None:
    record = place.record("the same again " * 100_000)
    await place.small.put(record)
    assert await place.small.get(place.account, "resp_1") == record


async def test_the_largest_record_fits_into_an_item(place: Place) -> None:
    fitting = noise((MOST_INLINE_BYTES - 3_000) * 4 // 5)  # hex digits shrink to little more than half
    await place.small.put(place.record(fitting))
    assert len(place.item()["document"]["B"]) > MOST_INLINE_BYTES * 9 // 10


async def test_without_a_bucket_what_does_not_fit_is_not_stored_at_all(place: Place) -> None:
    with pytest.raises(TooLargeToKeep):
        await place.small.put(place.record(noise(MOST_INLINE_BYTES)))
    assert place.item() == {}


async def test_with_a_bucket_what_does_not_fit_goes_there_and_leaves_with_its_response(place: Place) -> None:
    record = place.record(noise(MOST_INLINE_BYTES))
    await place.large.put(record)
    assert set(place.item()) == {"account_id", "item", "ttl", "object"}
    assert await place.large.get(place.account, "resp_1") == record
    assert await place.large.delete(place.account, "resp_1")
    assert place.shelf.kept == {}
    assert await place.large.get(place.account, "resp_1") is None


async def test_a_bucket_that_fails_leaves_nothing_half_stored(place: Place) -> None:
    place.shelf.broken = True
    with pytest.raises(OutcomeUnknown):
        await place.large.put(place.record(noise(MOST_INLINE_BYTES)))
    assert place.item() == {}


async def test_a_delete_that_the_bucket_failed_can_be_repeated(place: Place) -> None:
    await place.large.put(place.record(noise(MOST_INLINE_BYTES)))
    place.shelf.broken = True
    with pytest.raises(OutcomeUnknown):
        await place.large.delete(place.account, "resp_1")
    place.shelf.broken = False
    assert await place.large.delete(place.account, "resp_1")
    assert place.shelf.kept == {}
    assert place.item()["deleted"] == {"BOOL": True}


async def test_a_response_whose_object_is_gone_is_gone(place: Place) -> None:
    await place.large.put(place.record(noise(MOST_INLINE_BYTES)))
    place.shelf.kept.clear()
    assert await place.large.get(place.account, "resp_1") is None


async def test_a_small_response_costs_one_write_of_one_unit(place: Place) -> None:
    await place.small.put(place.record("hello " * 100))
    stored = place.item()
    size = sum(len(name) + len(str(next(iter(value.values())))) for name, value in stored.items())
    assert size <= 1024

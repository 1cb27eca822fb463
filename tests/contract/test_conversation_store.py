"""Conversations on two real engines: whole, in order, one account's alone, gone when deleted or expired."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.processes import Engine

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.conversations import DynamoConversations
from jatevo.adapters.dynamodb.responses import DynamoResponses
from jatevo.application.conversations import MOST_ITEMS, Conversation
from jatevo.application.responses import RECORDS_KEPT_S, Item, ResponseRecord, TooLargeToKeep
from jatevo_local.engine import REGION

NOW_S = 1_795_000_000
TALK = "conv_aaaaaaaaaaaa"
METADATA = {"topic": "grüezi"}


@dataclass
class Place:
    engine: Engine
    clock: ManualClock
    store: DynamoConversations
    responses: DynamoResponses
    account: str

    async def opened(self, *items: Item, name: str = TALK) -> None:
        await self.store.create(Conversation(name, self.account, self.clock.at_ms // 1000, METADATA), items)

    async def said(self) -> list[str]:
        items = await self.store.items(self.account, TALK)
        assert items is not None
        return [item["id"] for item in items]

    def stored(self) -> list[dict[str, Any]]:
        answer = self.engine.calls.query(
            TableName=self.engine.names.responses,
            KeyConditionExpression="account_id = :account",
            ExpressionAttributeValues={":account": {"S": self.account}},
            ConsistentRead=True,
        )
        found: list[dict[str, Any]] = answer["Items"]
        return found

    def record(self) -> ResponseRecord:
        return ResponseRecord("resp_1", self.account, NOW_S, "m", {}, (), (), NOW_S + RECORDS_KEPT_S, TALK)


def item(name: str, text: str = "hello") -> Item:
    return {"id": name, "type": "message", "role": "user", "content": text}


@pytest.fixture
async def place(engine: Engine, counted: Iterator[int]) -> AsyncIterator[Place]:
    client, clock = DynamoClient(ClientOptions(REGION, engine.endpoint_url)), ManualClock(NOW_S * 1000)
    responses = DynamoResponses(client, engine.names, clock)
    store = DynamoConversations(client, engine.names, clock, responses)
    yield Place(engine, clock, store, responses, f"acct_c{next(counted)}")
    client.close()


async def test_a_conversation_holds_what_was_added_in_order(place: Place) -> None:
    await place.opened(item("a"), item("b"))
    assert await place.store.add(place.account, TALK, [item("c")])
    assert await place.store.add(place.account, TALK, [item("d"), item("e")])
    assert await place.said() == ["a", "b", "c", "d", "e"]
    assert await place.store.read(place.account, TALK) == Conversation(TALK, place.account, NOW_S, METADATA)


async def test_a_conversation_is_its_accounts_alone(place: Place) -> None:
    await place.opened(item("a"))
    assert await place.store.read("acct_other", TALK) is None
    assert await place.store.items("acct_other", TALK) is None
    assert not await place.store.add("acct_other", TALK, [item("b")])
    assert await place.store.describe("acct_other", TALK, {}) is None
    assert not await place.store.remove_item("acct_other", TALK, "a")
    assert not await place.store.delete("acct_other", TALK)
    assert await place.said() == ["a"]


@pytest.mark.parametrize("name", ["conv_", "conv_aaa", f"{TALK}#000001", "resp_1", "", "conv_zzzzzzzzzzzz"])
async def test_no_other_id_finds_it(place: Place, name: str) -> None:
    await place.opened(item("a"))
    assert await place.store.read(place.account, name) is None
    assert await place.store.items(place.account, name) is None
    assert not await place.store.remove_item(place.account, name, "a")
    assert not await place.store.delete(place.account, name)
    assert await place.responses.get(place.account, TALK) is None
    assert not await place.responses.delete(place.account, TALK)
    assert await place.said() == ["a"]


async def test_many_who_add_at_once_all_add_once(place: Place) -> None:
    await place.opened()
    await asyncio.gather(*(place.store.add(place.account, TALK, [item(str(name))]) for name in range(4)))
    assert sorted(await place.said()) == ["0", "1", "2", "3"]


async def test_a_response_is_kept_with_its_items_or_neither(place: Place) -> None:
    await place.opened()
    assert await place.store.add(place.account, TALK, [item("a")], place.record())
    assert await place.responses.get(place.account, "resp_1") == place.record()
    await place.store.delete(place.account, TALK)
    await place.responses.delete(place.account, "resp_1")
    assert not await place.store.add(place.account, TALK, [item("b")], place.record())
    assert await place.responses.get(place.account, "resp_1") is None


async def test_deleting_leaves_no_content_and_takes_no_more(place: Place) -> None:
    await place.opened(item("a"))
    await place.store.add(place.account, TALK, [item("b")])
    assert await place.store.delete(place.account, TALK)
    assert not await place.store.delete(place.account, TALK)
    assert not await place.store.add(place.account, TALK, [item("c")])
    assert await place.store.items(place.account, TALK) is None
    [left] = place.stored()
    assert not left.keys() & {"document", "metadata"}


async def test_a_delete_cut_short_is_ended_by_the_next(place: Place) -> None:
    await place.opened(item("a"))
    await place.store._mark_deleted(place.account, TALK)
    assert await place.store.items(place.account, TALK) is None
    assert await place.store.delete(place.account, TALK)
    assert len(place.stored()) == 1


async def test_an_item_can_be_removed(place: Place) -> None:
    await place.opened(item("a"), item("b"))
    await place.store.add(place.account, TALK, [item("c")])
    assert await place.store.remove_item(place.account, TALK, "b")
    assert not await place.store.remove_item(place.account, TALK, "b")
    assert await place.said() == ["a", "c"]


async def test_metadata_can_be_replaced(place: Place) -> None:
    await place.opened()
    described = await place.store.describe(place.account, TALK, {"a": "b"})
    assert described is not None
    assert described.metadata == {"a": "b"}
    assert await place.store.read(place.account, TALK) == described


async def test_items_end_thirty_days_after_they_were_added_and_the_conversation_after_the_last(place: Place) -> None:
    await place.opened(item("a"))
    place.clock.advance(RECORDS_KEPT_S - 1)
    await place.store.add(place.account, TALK, [item("b")])
    place.clock.advance(1)
    assert await place.said() == ["b"]
    place.clock.advance(RECORDS_KEPT_S - 2)
    assert await place.said() == ["b"]
    place.clock.advance(1)
    assert await place.store.items(place.account, TALK) is None
    assert await place.store.read(place.account, TALK) is None


async def test_a_conversation_has_bounds_and_beyond_them_nothing_is_added(place: Place) -> None:
    await place.opened(*(item(str(name)) for name in range(MOST_ITEMS)))
    with pytest.raises(TooLargeToKeep):
        await place.store.add(place.account, TALK, [item("more")], place.record())
    assert len(await place.said()) == MOST_ITEMS
    assert await place.responses.get(place.account, "resp_1") is None

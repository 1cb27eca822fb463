"""
The `ConversationStore` port on DynamoDB: a head, and a part for each time that items were added.

`conv_…` is the head: what the conversation is, and how much it holds; `conv_…#000001` and so on are its parts, whose
numbers the head gives out. A part is added by one transaction with its head, so that none is added to a conversation
that is gone, none twice, and none over another. A deleted head stays, empty, until its time is over.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.items import Item as Stored
from jatevo.adapters.dynamodb.items import binary, get_int, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.responses import MOST_INLINE_BYTES, DynamoResponses, could_be_id
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.packing import packed, unpacked
from jatevo.application.conversations import MOST_BYTES, MOST_ITEMS, Conversation
from jatevo.application.ports import Clock, OutcomeUnknown
from jatevo.application.responses import RECORDS_KEPT_S, Item, ResponseRecord, TooLargeToKeep

_PREFIX = "conv_"
_TRIES = 5
_NOT_DELETED = "attribute_exists(#item) AND attribute_not_exists(#deleted)"
_NAMES = {"#item": "item", "#deleted": "deleted"}


class DynamoConversations:
    """The `ConversationStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames, clock: Clock, responses: DynamoResponses) -> None:
        self._client = client
        self._table = names.responses
        self._clock = clock
        self._responses = responses

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        part = await self._part(conversation.account_id, conversation.id, 1, items)
        head = {
            **_key(conversation.account_id, conversation.id),
            "created_at": number(conversation.created_at_unix_s),
            "metadata": _texts(conversation.metadata),
            "parts": number(1),
            "items": number(len(items)),
            "bytes": number(len(part["document"]["B"])),
            "ttl": part["ttl"],
        }
        puts = [{"Put": {"TableName": self._table, "Item": item}} for item in (head, part)]
        await self._client.retried("transact_write_items", TransactItems=puts)

    async def read(self, account_id: str, conversation_id: str) -> Conversation | None:
        head = await self._head(account_id, conversation_id)
        return None if head is None else _conversation(head)

    async def items(self, account_id: str, conversation_id: str) -> tuple[Item, ...] | None:
        parts = await self._parts(account_id, conversation_id)
        if parts is None:
            return None
        return tuple(item for part in parts for item in unpacked(part["document"]["B"]))

    async def _parts(self, account_id: str, conversation_id: str) -> list[Stored] | None:
        """Return the parts of a conversation that lives, in order."""
        found = await self._all(account_id, conversation_id)
        if not found or not self._lives(found[0]) or get_text(found[0], "item") != conversation_id:
            return None
        return [part for part in found[1:] if self._lives(part)]

    async def add(
        self, account_id: str, conversation_id: str, items: Sequence[Item], record: ResponseRecord | None = None
    ) -> bool:
        also = [] if record is None else [{"Put": await self._responses.put_request(record)}]
        for _ in range(_TRIES):
            head = await self._head(account_id, conversation_id)
            if head is None:
                return False
            part = await self._part(account_id, conversation_id, get_int(head, "parts") + 1, items)
            writes = [self._grown(head, part, len(items)), {"Put": {"TableName": self._table, "Item": part}}, *also]
            try:
                await self._client.retried("transact_write_items", TransactItems=writes)
            except TransactionRefused:
                continue  # Somebody else has added something, or deleted it.
            return True
        raise OutcomeUnknown("the conversation is too busy")

    def _grown(self, head: Stored, part: Stored, count: int) -> dict[str, Any]:
        items, size = get_int(head, "items") + count, get_int(head, "bytes") + len(part["document"]["B"])
        if items > MOST_ITEMS or size > MOST_BYTES:
            raise TooLargeToKeep(f"{items} items, {size} bytes")
        update = {
            "TableName": self._table,
            "Key": {name: head[name] for name in ("account_id", "item")},
            "UpdateExpression": "SET #parts = #parts + :one, #items = :items, #bytes = :bytes, #ttl = :ttl",
            "ConditionExpression": f"{_NOT_DELETED} AND #parts = :parts",
            "ExpressionAttributeNames": _NAMES
            | {"#parts": "parts", "#items": "items", "#bytes": "bytes", "#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":one": number(1),
                ":parts": head["parts"],
                ":items": number(items),
                ":bytes": number(size),
                ":ttl": part["ttl"],
            },
        }
        return {"Update": update}

    async def describe(self, account_id: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation | None:
        if await self._head(account_id, conversation_id) is None:
            return None
        try:
            answer = await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(account_id, conversation_id),
                UpdateExpression="SET #metadata = :metadata",
                ConditionExpression=_NOT_DELETED,
                ExpressionAttributeNames=_NAMES | {"#metadata": "metadata"},
                ExpressionAttributeValues={":metadata": _texts(metadata)},
                ReturnValues="ALL_NEW",
            )
        except ConditionRefused:
            return None
        return _conversation(answer["Attributes"])

    async def remove_item(self, account_id: str, conversation_id: str, item_id: str) -> bool:
        for _ in range(_TRIES):
            for part in await self._parts(account_id, conversation_id) or ():
                items = unpacked(part["document"]["B"])
                left = [item for item in items if item["id"] != item_id]
                if len(left) < len(items):
                    break
            else:
                return False
            if await self._replace(part, left):
                return True
        raise OutcomeUnknown("the conversation is too busy")

    async def _replace(self, part: Stored, items: Sequence[Item]) -> bool:
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key={name: part[name] for name in ("account_id", "item")},
                UpdateExpression="SET #document = :document",
                ConditionExpression="#document = :read",
                ExpressionAttributeNames={"#document": "document"},
                ExpressionAttributeValues={":document": binary(packed(list(items))), ":read": part["document"]},
            )
        except ConditionRefused:
            return False
        return True

    async def delete(self, account_id: str, conversation_id: str) -> bool:
        there = await self._head(account_id, conversation_id) is not None
        if there:
            await self._mark_deleted(account_id, conversation_id)
        # Also of one marked before: an earlier delete may not have come to its end.
        parts = [part for part in await self._all(account_id, conversation_id) if "document" in part]
        for part in parts:
            key = {name: part[name] for name in ("account_id", "item")}
            await self._client.retried("delete_item", TableName=self._table, Key=key)
        return there or bool(parts)

    async def _mark_deleted(self, account_id: str, conversation_id: str) -> None:
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(account_id, conversation_id),
                UpdateExpression="SET #deleted = :yes REMOVE #metadata",
                ConditionExpression=_NOT_DELETED,
                ExpressionAttributeNames=_NAMES | {"#metadata": "metadata"},
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        except ConditionRefused:
            return

    async def _head(self, account_id: str, conversation_id: str) -> Stored | None:
        if not could_be_id(conversation_id, _PREFIX):
            return None
        answer = await self._client.retried(
            "get_item", TableName=self._table, Key=_key(account_id, conversation_id), ConsistentRead=True
        )
        head: Stored | None = answer.get("Item")
        return head if head is not None and self._lives(head) else None

    async def _all(self, account_id: str, conversation_id: str) -> list[Stored]:
        """Return the items of a conversation, its head first. Their number is bounded when they are added."""
        if not could_be_id(conversation_id, _PREFIX):
            return []
        found = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression="#account = :account AND #item BETWEEN :head AND :last",
            ExpressionAttributeNames={"#account": "account_id", "#item": "item"},
            ExpressionAttributeValues={
                ":account": text(account_id),
                ":head": text(conversation_id),
                ":last": text(f"{conversation_id}#~"),
            },
            ConsistentRead=True,
        )
        return [item async for item in found]

    async def _part(self, account_id: str, conversation_id: str, place: int, items: Sequence[Item]) -> dict[str, Any]:
        data = await asyncio.to_thread(packed, list(items))
        if len(data) > MOST_INLINE_BYTES:
            raise TooLargeToKeep(f"{len(data)} bytes")
        expires_at = self._clock.now_ms() // 1000 + RECORDS_KEPT_S
        key = _key(account_id, f"{conversation_id}#{place:06}")
        return {**key, "document": binary(data), "ttl": number(expires_at)}

    def _lives(self, item: Stored) -> bool:
        return "deleted" not in item and get_int(item, "ttl") > self._clock.now_ms() // 1000


def _key(account_id: str, item: str) -> dict[str, Any]:
    return {"account_id": text(account_id), "item": text(item)}


def _texts(metadata: Mapping[str, str]) -> dict[str, Any]:
    return {"M": {name: text(value) for name, value in metadata.items()}}


def _conversation(head: Stored) -> Conversation:
    metadata = {name: value["S"] for name, value in head["metadata"]["M"].items()}
    return Conversation(get_text(head, "item"), get_text(head, "account_id"), get_int(head, "created_at"), metadata)

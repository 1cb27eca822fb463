"""
The `ResponseStore` port on DynamoDB: one item for each response, under its account.

A put is one write, of one unit for each KB of the compressed record. What does not fit into an item goes into a bucket
first, and then an item that names it: until then nobody finds it. Deleting leaves the bare id until the response would
have expired, so that a put that lands late brings nothing back.

DynamoDB removes expired items when it gets to it, so every read looks at the time itself.
"""

import asyncio
from dataclasses import fields
from typing import Any, Protocol

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, binary, get_int, get_text, number, text
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.packing import packed, unpacked
from jatevo.application.ports import Clock
from jatevo.application.responses import ResponseRecord, TooLargeToKeep

MOST_INLINE_BYTES = 390_000
"""An item may have 409,600 bytes, names and key included."""
MOST_OBJECT_BYTES = 32 * 1024 * 1024
_PREFIX = "resp_"
"""Other items of the table are no responses."""
_LONGEST_ID = 64


class Objects(Protocol):
    """Where larger things are kept."""

    async def put(self, name: str, data: bytes) -> None: ...

    async def get(self, name: str) -> bytes | None: ...

    async def delete(self, name: str) -> None: ...


class DynamoResponses:
    """The `ResponseStore` port on DynamoDB. `objects` None: what does not fit into an item is not kept."""

    def __init__(self, client: DynamoClient, names: TableNames, clock: Clock, objects: Objects | None = None) -> None:
        self._client = client
        self._table = names.responses
        self._clock = clock
        self._objects = objects

    async def put(self, record: ResponseRecord) -> None:
        try:
            await self._client.retried("put_item", **await self.put_request(record))
        except ConditionRefused:
            return  # An earlier attempt of this very call, whose answer was lost.

    async def put_request(self, record: ResponseRecord) -> dict[str, Any]:
        """Return the put that keeps a record, what is too large for it being in the bucket by now."""
        data = await asyncio.to_thread(packed, {field.name: getattr(record, field.name) for field in fields(record)})
        item = {**_key(record.account_id, record.id), "ttl": number(record.expires_at_unix_s)}
        if len(data) <= MOST_INLINE_BYTES:
            item["document"] = binary(data)
        elif self._objects is None or len(data) > MOST_OBJECT_BYTES:
            raise TooLargeToKeep(f"{len(data)} bytes")
        else:
            item["object"] = text(f"{record.account_id}/{record.id}")
            await self._objects.put(item["object"]["S"], data)
        return {
            "TableName": self._table,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(#item)",
            "ExpressionAttributeNames": {"#item": "item"},
        }

    async def get(self, account_id: str, response_id: str) -> ResponseRecord | None:
        item = await self._living(account_id, response_id)
        if item is None:
            return None
        data = item["document"]["B"] if "document" in item else await self._object(get_text(item, "object"))
        if data is None:
            return None
        document = await asyncio.to_thread(unpacked, data)
        items = {name: tuple(document[name]) for name in ("own_items", "prior_items")}
        return ResponseRecord(**document | items)

    async def _object(self, name: str) -> bytes | None:
        return None if self._objects is None else await self._objects.get(name)

    async def delete(self, account_id: str, response_id: str) -> bool:
        item = await self._living(account_id, response_id, {"#object": "object"})
        if item is None:
            return False
        if "object" in item and self._objects is not None:
            # First: should it fail, the item is there for a second try.
            await self._objects.delete(get_text(item, "object"))
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(account_id, response_id),
                UpdateExpression="SET #deleted = :yes REMOVE #document, #object",
                ConditionExpression="attribute_exists(#item)",
                ExpressionAttributeNames={
                    "#item": "item",
                    "#deleted": "deleted",
                    "#document": "document",
                    "#object": "object",
                },
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        except ConditionRefused:
            return False
        return True

    async def _living(self, account_id: str, response_id: str, names: dict[str, str] | None = None) -> Item | None:
        """Return the item of a response that is neither deleted nor expired; all of it, or the attributes named."""
        if not could_be_id(response_id, _PREFIX):
            return None
        wanted: dict[str, Any] = {}
        if names is not None:
            wanted["ProjectionExpression"] = ", ".join(["#deleted", "#ttl", *names])
            wanted["ExpressionAttributeNames"] = {"#deleted": "deleted", "#ttl": "ttl", **names}
        answer = await self._client.retried(
            "get_item", TableName=self._table, Key=_key(account_id, response_id), ConsistentRead=True, **wanted
        )
        item: Item | None = answer.get("Item")
        if item is None or "deleted" in item or get_int(item, "ttl") <= self._clock.now_ms() // 1000:
            return None
        return item


def could_be_id(name: str, prefix: str) -> bool:
    """Return whether something of this prefix may be kept under `name`, which a client sent."""
    return name.startswith(prefix) and len(name) <= _LONGEST_ID and name.isascii() and "#" not in name


def _key(account_id: str, response_id: str) -> dict[str, Any]:
    return {"account_id": text(account_id), "item": text(response_id)}

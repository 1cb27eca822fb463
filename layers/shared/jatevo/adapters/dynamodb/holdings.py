"""
Snapshots of holdings in their table: put once, never changed.

=====================  =========================  ==========================================================
`snapshot`             `part`                     holds
=====================  =========================  ==========================================================
`plan`                 a day                      when that day's snapshot is taken
`complete`             a snapshot's id            a complete snapshot: its tokens, where their parts are
`pin`                  a day                      the id of the snapshot that the day counts by
a snapshot's id        `begun#<namespace>`        the block it reads, and into how many parts
                       `token#<namespace>`        a token that has been read whole
                       `late#<wallet>`            the balance at its block of a wallet linked later
`<id>#<attempt>`       a number                   balances: a JSON object of addresses and units, as text
=====================  =========================  ==========================================================

Everything carries a `ttl`. A complete snapshot and its parts are kept in the process: they never change.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import Item, get_flag, get_int, get_text, number, text
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.ports import Clock
from jatevo.domain.holdings import Moment, Snapshot, Token, TokenSnapshot, part_of, token_from_text
from jatevo.domain.wallets import Namespace, Wallet

MOST_PART_BYTES = 300_000
"""Of DynamoDB's 400 KB for an item."""
_KEPT_PARTS = 8


class DynamoHoldings:
    """The `HoldingsStore` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames, clock: Clock, *, retention_s: int) -> None:
        self._client = client
        self._table = names.holdings
        self._clock = clock
        self._retention_s = retention_s
        self._snapshots: dict[str, Snapshot] = {}
        self._parts: OrderedDict[tuple[str, str], Mapping[str, str]] = OrderedDict()

    async def plan(self, day: str, moment_unix_s: int) -> int:
        return get_int(await self._first("plan", day, {"moment": number(moment_unix_s)}), "moment")

    async def begin(self, snapshot_id: str, token: Token, moment: Moment, parts: int) -> tuple[Moment, int]:
        item = await self._first(
            snapshot_id, f"begun#{token.namespace}", {**_moment_item(moment), "parts": number(parts)}
        )
        return _moment(item), get_int(item, "parts")

    async def put_part(self, snapshot_id: str, attempt: str, part: int, units: Mapping[Wallet, int]) -> None:
        body = json.dumps({wallet.address: str(amount) for wallet, amount in units.items()}, separators=(",", ":"))
        assert len(body) < MOST_PART_BYTES, "a part fits into an item"
        await self._first(f"{snapshot_id}#{attempt}", f"{part:06d}", {"units": text(body)})

    async def parts_done(self, snapshot_id: str, attempt: str) -> frozenset[int]:
        items = await self._all(f"{snapshot_id}#{attempt}", "", names_only=True)
        return frozenset(int(get_text(item, "part")) for item in items)

    async def read_tokens(self, snapshot_id: str) -> Mapping[Namespace, TokenSnapshot]:
        found = [_token_snapshot(item) for item in await self._all(snapshot_id, "token#")]
        return {read.token.namespace: read for read in found}

    async def add_token(self, snapshot_id: str, read: TokenSnapshot) -> TokenSnapshot:
        stored = await self._first(snapshot_id, f"token#{read.token.namespace}", _token_item(read))
        return _token_snapshot(stored)

    async def complete(self, snapshot: Snapshot) -> Snapshot:
        tokens = {str(namespace): {"M": _token_item(read)} for namespace, read in snapshot.tokens.items()}
        attributes = {"taken_at": number(snapshot.taken_at_unix_s), "tokens": {"M": tokens}}
        return _snapshot(await self._first("complete", snapshot.id, attributes))

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        if snapshot_id not in self._snapshots:
            item = await self._get("complete", snapshot_id)
            if item is None:
                return None
            self._snapshots[snapshot_id] = _snapshot(item)
        return self._snapshots[snapshot_id]

    async def latest(self) -> Snapshot | None:
        answer = await self._client.retried(
            "query",
            TableName=self._table,
            KeyConditionExpression="#snapshot = :complete",
            ExpressionAttributeNames={"#snapshot": "snapshot"},
            ExpressionAttributeValues={":complete": text("complete")},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )
        items = answer.get("Items", [])
        return _snapshot(items[0]) if items else None

    async def pinned(self, day: str) -> Snapshot | None:
        item = await self._get("pin", day)
        return None if item is None else await self.snapshot(get_text(item, "id"))

    async def pin(self, day: str, snapshot: Snapshot) -> Snapshot:
        stands = get_text(await self._first("pin", day, {"id": text(snapshot.id)}), "id")
        pinned = snapshot if stands == snapshot.id else await self.snapshot(stands)
        assert pinned is not None, "what is pinned is complete"
        return pinned

    async def units(self, snapshot: Snapshot, wallet: Wallet) -> int | None:
        read = snapshot.tokens.get(wallet.namespace)
        if read is None:
            return None
        if read.parts:
            part = await self._part(f"{snapshot.id}#{read.attempt}", f"{part_of(wallet, read.parts, read.attempt):06d}")
            if wallet.address in part:
                return int(part[wallet.address])
        if read.everybody:
            return 0
        late = await self._get(snapshot.id, f"late#{wallet}")
        return None if late is None else int(get_text(late, "units"))

    async def add_late(self, snapshot: Snapshot, wallet: Wallet, units: int) -> None:
        await self._first(snapshot.id, f"late#{wallet}", {"units": text(str(units))})

    async def _part(self, owner: str, part: str) -> Mapping[str, str]:
        key = (owner, part)
        if key not in self._parts:
            item = await self._get(owner, part)
            assert item is not None, "a complete snapshot has all of its parts"
            self._parts[key] = json.loads(get_text(item, "units"))
            while len(self._parts) > _KEPT_PARTS:
                self._parts.popitem(last=False)
        self._parts.move_to_end(key)
        return self._parts[key]

    async def _first(self, snapshot: str, part: str, attributes: Mapping[str, Any]) -> Item:
        """Put an item unless there is one, and return what stands."""
        item = {**_key(snapshot, part), **attributes, "ttl": self._ttl()}
        try:
            await self._client.retried(
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#snapshot)",
                ExpressionAttributeNames={"#snapshot": "snapshot"},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionRefused as refused:
            return refused.item or item
        return item

    async def _get(self, snapshot: str, part: str) -> Item | None:
        answer = await self._client.retried(
            "get_item", TableName=self._table, Key=_key(snapshot, part), ConsistentRead=True
        )
        return answer.get("Item")

    async def _all(self, snapshot: str, prefix: str, *, names_only: bool = False) -> list[Item]:
        """Return the items of one partition whose part begins with `prefix`."""
        condition, values = "#snapshot = :snapshot", {":snapshot": text(snapshot)}
        names = {"#snapshot": "snapshot"}
        if prefix or names_only:
            names["#part"] = "part"
        if prefix:
            condition, values = f"{condition} AND begins_with(#part, :prefix)", {**values, ":prefix": text(prefix)}
        found = all_items(
            self._client,
            "query",
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            **({"ProjectionExpression": "#part"} if names_only else {}),
        )
        return [item async for item in found]

    def _ttl(self) -> dict[str, str]:
        return number(self._clock.now_ms() // 1000 + self._retention_s)


def _key(snapshot: str, part: str) -> dict[str, dict[str, str]]:
    return {"snapshot": text(snapshot), "part": text(part)}


def _moment_item(moment: Moment) -> dict[str, Any]:
    return {
        "height": number(moment.height),
        "time": number(moment.unix_s),
        "block_hash": text(moment.block_hash),
    }


def _moment(item: Item) -> Moment:
    return Moment(get_int(item, "height"), get_int(item, "time"), get_text(item, "block_hash"))


def _token_item(read: TokenSnapshot) -> dict[str, Any]:
    return {
        "token": text(str(read.token)),
        **_moment_item(read.moment),
        "decimals": number(read.decimals),
        "everybody": {"BOOL": read.everybody},
        "attempt": text(read.attempt),
        "parts": number(read.parts),
        "holders": number(read.holders),
    }


def _token_snapshot(item: Item) -> TokenSnapshot:
    token = token_from_text(get_text(item, "token"))
    assert token is not None, "only tokens are stored"
    return TokenSnapshot(
        token=token,
        moment=_moment(item),
        decimals=get_int(item, "decimals"),
        everybody=get_flag(item, "everybody", default=False),
        attempt=get_text(item, "attempt"),
        parts=get_int(item, "parts"),
        holders=get_int(item, "holders"),
    )


def _snapshot(item: Item) -> Snapshot:
    tokens = [_token_snapshot(entry["M"]) for entry in item["tokens"]["M"].values()]
    return Snapshot(
        id=get_text(item, "part"),
        taken_at_unix_s=get_int(item, "taken_at"),
        tokens={read.token.namespace: read for read in tokens},
    )

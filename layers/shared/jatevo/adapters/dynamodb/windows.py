"""
The `WindowStore` port on DynamoDB: each transition of `jatevo.domain.windows` as one conditional update.

Guarantees: a hold is taken only where every bound allows it, in one write; a refusal brings the item back as it was,
so that the pure rules say which bound refused; an entry is removed at most once.

An entry of `open` is packed: flags (1 byte), amount (8), expiry (4), short key id, and its mark if it has one. With its
name of 16 characters it takes about 40 bytes, so a window with a dozen requests under way still costs one write unit.
Attribute names stand in placeholders throughout: several are reserved words, and ids begin with digits or dashes.
"""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from typing import Any
from zlib import crc32

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient, TransactionRefused
from jatevo.adapters.dynamodb.items import (
    Item,
    binary,
    get_int,
    get_optional_int,
    get_text,
    get_texts,
    number,
    text,
    texts,
)
from jatevo.adapters.dynamodb.paging import all_items
from jatevo.adapters.dynamodb.schema import SWEEP_INDEX, SWEEP_SHARDS, TableNames
from jatevo.application.ports import Conflict, OutcomeUnknown, StoreUnavailable
from jatevo.domain.accounts import owning_account
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.calendar import period_end_unix_s
from jatevo.domain.windows import EVERY_KEY, Hold, Limits, Refused, Window, WindowKey, bound_against

_ENTRY = struct.Struct(">BQI")
_COUNTS_REQUEST = 1
_BEFORE_MARK = "/"
_MINUTE_KEPT_S = 86_400
"""Far longer than a request can last, so that the sweeper ends what is left in a minute before it goes."""
_CONDITION_FAILED = "ConditionalCheckFailed"

_NAMES = {
    "#requests_limit": "requests_limit",
    "#requests_left": "requests_left",
    "#budget_limit": "budget_limit",
    "#budget_left": "budget_left",
    "#settled": "settled",
    "#exposed": "exposed",
    "#concurrency": "concurrency_limit",
    "#open": "open",
    "#blocked": "blocked",
    "#version": "limits_version",
    "#sweep_at": "sweep_at",
    "#owner": "owner",
}

_QUOTA_LEFT = "#requests_left >= :requests"
_BUDGET_FITS = "#budget_left >= :amount"
_SLOT_FREE = "size(#open) < #concurrency"
_NOT_BLOCKED = "(attribute_not_exists(#blocked) OR NOT (contains(#blocked, :key) OR contains(#blocked, :every)))"
_ID_UNUSED = "attribute_not_exists(#open.#id)"
_RESERVE_UPDATE = (
    "SET #requests_left = #requests_left - :requests, #budget_left = #budget_left - :amount, #open.#id = :entry, "
    "#sweep_at = if_not_exists(#sweep_at, :expires)"
)
_SETTLE_UPDATE = (
    "SET #requests_left = #requests_left + :requests, #budget_left = #budget_left + :back, "
    "#settled = #settled + :charge{exposed} REMOVE #open.#id"
)


class DynamoWindows:
    """The `WindowStore` port on DynamoDB. `retention_s`: how long a day's window is kept after the day."""

    def __init__(self, client: DynamoClient, names: TableNames, *, retention_s: int = 90 * 86_400) -> None:
        self._client = client
        self._table = names.windows
        self._accounts = names.accounts
        self._keys = names.keys
        self._retention_s = retention_s

    async def reserve(self, key: WindowKey, reservation_id: str, hold: Hold) -> Window | Refused | None:
        condition = _reserve_condition(requests=hold.requests > 0, money=hold.amount_nano_usd > 0)
        try:
            answer = await self._client.once(
                "update_item",
                TableName=self._table,
                Key=_key(key),
                UpdateExpression=_RESERVE_UPDATE,
                ConditionExpression=condition,
                ExpressionAttributeNames=_names(_RESERVE_UPDATE + condition, {"#id": reservation_id}),
                ExpressionAttributeValues={
                    ":requests": number(hold.requests),
                    ":amount": number(hold.amount_nano_usd),
                    ":entry": binary(pack(hold)),
                    ":expires": number(hold.expires_at_unix_s),
                    ":key": text(hold.key_ref),
                    ":every": text(EVERY_KEY),
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionRefused as refused:
            return _refusal(refused.item, reservation_id, hold)
        return window_from_item(answer["Attributes"])

    async def settle(
        self,
        key: WindowKey,
        reservation_id: str,
        hold: Hold,
        *,
        charge_nano_usd: int,
        give_request_back: bool,
        exposed_nano_usd: int,
    ) -> bool:
        assert 0 <= charge_nano_usd <= hold.amount_nano_usd, "a charge never exceeds its reservation"
        values = {
            ":requests": number(hold.requests if give_request_back else 0),
            ":back": number(hold.amount_nano_usd - charge_nano_usd),
            ":charge": number(charge_nano_usd),
        }
        exposed = ""
        if exposed_nano_usd:
            exposed = ", #exposed = if_not_exists(#exposed, :zero) + :exposed"
            values |= {":zero": number(0), ":exposed": number(exposed_nano_usd)}
        update = _SETTLE_UPDATE.format(exposed=exposed)
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(key),
                UpdateExpression=update,
                ConditionExpression="attribute_exists(#open.#id)",
                ExpressionAttributeNames=_names(update, {"#id": reservation_id}),
                ExpressionAttributeValues=values,
            )
        except ConditionRefused:
            return False
        return True

    async def open(self, window: Window, account_version: int | None, *, key_digest: str | None = None) -> None:
        put = {
            "TableName": self._table,
            "Item": self._item(window),
            "ConditionExpression": "attribute_not_exists(#owner)",
            "ExpressionAttributeNames": {"#owner": "owner"},
        }
        unchanged = []
        if account_version is not None:
            account = {"account_id": text(owning_account(window.key))}
            unchanged.append(_unchanged(self._accounts, account, "version", account_version))
        if key_digest is not None:
            key = {"digest": text(key_digest)}
            unchanged.append(_unchanged(self._keys, key, "caps_version", window.limits_version))
        try:
            await self._client.retried("transact_write_items", TransactItems=[{"Put": put}, *unchanged])
        except TransactionRefused as refused:
            _raise_unless_there(refused.reasons)
        except OutcomeUnknown as unknown:
            # Opening is idempotent: the caller looks again, and opens again when nothing is there.
            raise StoreUnavailable("the window may not be open yet") from unknown

    async def read(self, key: WindowKey) -> Window | None:
        answer = await self._client.retried("get_item", TableName=self._table, Key=_key(key), ConsistentRead=True)
        item = answer.get("Item")
        return None if item is None else window_from_item(item)

    async def adjust(self, window: Window, limits: Limits, version: int, *, stopped: bool = False) -> bool:
        more_requests = limits.requests - window.limits.requests
        more_budget = limits.budget_nano_usd - window.limits.budget_nano_usd
        update = (
            "SET #requests_limit = :requests_limit, #requests_left = #requests_left + :more_requests, "
            "#budget_limit = :budget_limit, #budget_left = #budget_left + :more_budget, "
            "#concurrency = :concurrency, #version = :version"
        )
        every: dict[str, Any] = {}
        if stopped != (EVERY_KEY in window.blocked):
            update += f" {'ADD' if stopped else 'DELETE'} #blocked :every"
            every = {":every": texts({EVERY_KEY})}
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(window.key),
                UpdateExpression=update,
                ConditionExpression="#version = :read_version",
                ExpressionAttributeNames=_names(update),
                ExpressionAttributeValues={
                    ":requests_limit": number(limits.requests),
                    ":more_requests": number(more_requests),
                    ":budget_limit": number(limits.budget_nano_usd),
                    ":more_budget": number(more_budget),
                    ":concurrency": number(limits.concurrency),
                    ":version": number(version),
                    ":read_version": number(window.limits_version),
                    **every,
                },
            )
        except ConditionRefused:
            return False
        return True

    async def block(self, key: WindowKey, key_ref: str) -> bool:
        try:
            await self._change_blocks(key, "ADD", frozenset({key_ref}))
        except ConditionRefused:
            return False
        return True

    async def unblock(self, key: WindowKey, key_refs: frozenset[str]) -> None:
        try:
            await self._change_blocks(key, "DELETE", key_refs)
        except ConditionRefused:
            return

    async def due(self, before_unix_s: int, limit: int) -> Sequence[WindowKey]:
        shards = await asyncio.gather(
            *(self._due_in_shard(str(shard), before_unix_s, limit) for shard in range(SWEEP_SHARDS))
        )
        return [key for shard in shards for key in shard]

    async def all_open(self) -> AsyncIterator[WindowKey]:
        found = all_items(
            self._client,
            "scan",
            TableName=self._table,
            FilterExpression="size(#open) > :zero",
            ProjectionExpression="#owner, #period",
            ExpressionAttributeNames={"#open": "open", "#owner": "owner", "#period": "period"},
            ExpressionAttributeValues={":zero": number(0)},
        )
        async for item in found:
            yield _window_key(item)

    async def schedule_sweep(self, window: Window, at_unix_s: int | None) -> None:
        if at_unix_s is None:
            update, condition, values = "REMOVE #sweep_at", "size(#open) = :zero", {":zero": number(0)}
        elif window.sweep_at_unix_s is None:
            update, condition = "SET #sweep_at = :at", "attribute_not_exists(#sweep_at)"
            values = {":at": number(at_unix_s)}
        else:
            update, condition = "SET #sweep_at = :at", "#sweep_at = :read"
            values = {":at": number(at_unix_s), ":read": number(window.sweep_at_unix_s)}
        try:
            await self._client.retried(
                "update_item",
                TableName=self._table,
                Key=_key(window.key),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=_names(f"{update} {condition}"),
                ExpressionAttributeValues=values,
            )
        except ConditionRefused:
            return

    async def _change_blocks(self, key: WindowKey, verb: str, refs: frozenset[str]) -> None:
        await self._client.retried(
            "update_item",
            TableName=self._table,
            Key=_key(key),
            UpdateExpression=f"{verb} #blocked :refs",
            ConditionExpression="attribute_exists(#owner)",
            ExpressionAttributeNames={"#blocked": "blocked", "#owner": "owner"},
            ExpressionAttributeValues={":refs": texts(refs)},
        )

    async def _due_in_shard(self, shard: str, before_unix_s: int, limit: int) -> list[WindowKey]:
        answer = await self._client.retried(
            "query",
            TableName=self._table,
            IndexName=SWEEP_INDEX,
            KeyConditionExpression="#shard = :shard AND #sweep_at < :before",
            ExpressionAttributeNames={"#shard": "sweep_shard", "#sweep_at": "sweep_at"},
            ExpressionAttributeValues={":shard": text(shard), ":before": number(before_unix_s)},
            Limit=limit,
        )
        return [_window_key(item) for item in answer.get("Items", [])]

    def _kept_s(self, key: WindowKey) -> int:
        return _MINUTE_KEPT_S if kind_of(key) is Kind.MINUTE else self._retention_s

    def _item(self, window: Window) -> dict[str, Any]:
        item = {
            **_key(window.key),
            "requests_limit": number(window.limits.requests),
            "requests_left": number(window.requests_left),
            "budget_limit": number(window.limits.budget_nano_usd),
            "budget_left": number(window.budget_left_nano_usd),
            "settled": number(window.settled_nano_usd),
            "concurrency_limit": number(window.limits.concurrency),
            "limits_version": number(window.limits_version),
            "open": {"M": {name: binary(pack(hold)) for name, hold in window.open.items()}},
            "sweep_shard": text(str(crc32(window.key.owner.encode()) % SWEEP_SHARDS)),
        }
        ends = period_end_unix_s(window.key.period)
        if ends is not None:
            item["ttl"] = number(ends + self._kept_s(window.key))
        if window.blocked:
            item["blocked"] = texts(window.blocked)
        return item


@cache
def _reserve_condition(*, requests: bool, money: bool) -> str:
    """Return the condition of a hold. What it does not take cannot refuse it: an overdrawn budget only money."""
    bounds = [_QUOTA_LEFT] * requests + [_BUDGET_FITS] * money
    return " AND ".join([*bounds, _SLOT_FREE, _NOT_BLOCKED, _ID_UNUSED])


def pack(hold: Hold) -> bytes:
    """Return the entry of `open` for a hold."""
    flags = _COUNTS_REQUEST if hold.requests else 0
    said = f"{hold.key_ref}{_BEFORE_MARK}{hold.mark}" if hold.mark else hold.key_ref
    return _ENTRY.pack(flags, hold.amount_nano_usd, hold.expires_at_unix_s) + said.encode("ascii")


def unpack(entry: bytes) -> Hold:
    """Return the hold an entry of `open` stands for."""
    flags, amount, expires = _ENTRY.unpack_from(entry)
    ref, _, mark = bytes(entry[_ENTRY.size :]).decode("ascii").partition(_BEFORE_MARK)
    return Hold(amount, expires, ref, flags & _COUNTS_REQUEST, mark)


def window_from_item(item: Item) -> Window:
    """Return the window an item stands for."""
    entries: Mapping[str, Mapping[str, bytes]] = item["open"]["M"]
    return Window(
        key=_window_key(item),
        limits=Limits(
            requests=get_int(item, "requests_limit"),
            budget_nano_usd=get_int(item, "budget_limit"),
            concurrency=get_int(item, "concurrency_limit"),
        ),
        requests_left=get_int(item, "requests_left"),
        budget_left_nano_usd=get_int(item, "budget_left"),
        settled_nano_usd=get_int(item, "settled"),
        exposed_nano_usd=get_int(item, "exposed"),
        open={name: unpack(value["B"]) for name, value in entries.items()},
        blocked=get_texts(item, "blocked") or frozenset(),
        limits_version=get_int(item, "limits_version"),
        sweep_at_unix_s=get_optional_int(item, "sweep_at"),
    )


def _refusal(item: Item | None, reservation_id: str, hold: Hold) -> Refused | None:
    if item is None:
        return None
    window = window_from_item(item)
    bound = bound_against(window, hold)
    if bound is None:
        # Only the id can have refused: it is in use, so somebody attempted it twice.
        assert reservation_id in window.open, "the store refused what the rules allow"
        raise OutcomeUnknown("reservation id attempted twice")
    return Refused(bound, window)


def _raise_unless_there(reasons: Sequence[str]) -> None:
    window, *depends_on = reasons
    if _CONDITION_FAILED in depends_on:
        raise Conflict("the account or key has changed")
    if window != _CONDITION_FAILED:
        raise StoreUnavailable(f"the window was not opened: {reasons}")


def _unchanged(table: str, key: Item, attribute: str, version: int) -> dict[str, Any]:
    """Return the part of a transaction that holds only while an item has this version."""
    return {
        "ConditionCheck": {
            "TableName": table,
            "Key": key,
            "ConditionExpression": "#version = :version",
            "ExpressionAttributeNames": {"#version": attribute},
            "ExpressionAttributeValues": {":version": number(version)},
        }
    }


def _key(key: WindowKey) -> dict[str, dict[str, str]]:
    return {"owner": text(key.owner), "period": text(key.period)}


def _window_key(item: Item) -> WindowKey:
    return WindowKey(get_text(item, "owner"), get_text(item, "period"))


def _names(expressions: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the placeholders that the expressions use: DynamoDB refuses a request that names one it does not use."""
    known = {**_NAMES, **(more or {})}
    return {name: known[name] for name in _placeholders(expressions)}


@cache
def _placeholders(expressions: str) -> frozenset[str]:
    return frozenset(re.findall(r"#\w+", expressions))

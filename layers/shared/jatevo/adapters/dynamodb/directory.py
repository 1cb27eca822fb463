"""
What the request path reads: keys, accounts and the catalogue, each kept in the process for a few seconds.

Staleness is safe: limits live in windows, and a disabled key is blocked there at once. A caller's first request in a
process costs two eventually consistent reads; later ones within `keep_ms` none.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from jatevo.adapters.dynamodb.client import ConditionRefused, DynamoClient
from jatevo.adapters.dynamodb.items import (
    Item,
    get_flag,
    get_int,
    get_int_map,
    get_optional_int,
    get_text,
    get_text_map,
    get_texts,
    number,
    text,
)
from jatevo.adapters.dynamodb.schema import CATALOGUE_KIND, TableNames
from jatevo.application.ports import Clock
from jatevo.domain.accounts import DEFAULT_CONCURRENCY, Account, ApiKey, LimitsFrom
from jatevo.domain.catalogue import Catalogue
from jatevo.domain.catalogue_file import catalogue_from_document
from jatevo.domain.projection import PERMILLE
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

_MOST_KEPT = 10_000


@dataclass(slots=True)
class _Kept:
    value: Any
    until_ms: int


class DynamoDirectory:
    """The `Directory` port on DynamoDB."""

    def __init__(self, client: DynamoClient, names: TableNames, clock: Clock, *, keep_ms: int = 10_000) -> None:
        self._client = client
        self._names = names
        self._clock = clock
        self._keep_ms = keep_ms
        self._kept: dict[str, _Kept] = {}

    async def key(self, digest: str, *, fresh: bool = False) -> ApiKey | None:
        async def read() -> ApiKey | None:
            item = await self._get(self._names.keys, {"digest": text(digest)}, consistent=fresh)
            return None if item is None else key_from_item(item)

        found: ApiKey | None = await self._remember(f"key/{digest}", read, fresh=fresh)
        return found

    async def account(self, account_id: str, *, fresh: bool = False) -> Account | None:
        async def read() -> Account | None:
            item = await self._get(self._names.accounts, {"account_id": text(account_id)}, consistent=fresh)
            return None if item is None else account_from_item(item)

        found: Account | None = await self._remember(f"account/{account_id}", read, fresh=fresh)
        return found

    async def catalogue(self) -> Catalogue:
        async def read() -> Catalogue:
            answer = await self._client.retried(
                "query",
                TableName=self._names.catalogue,
                KeyConditionExpression="#kind = :kind",
                ExpressionAttributeNames={"#kind": "kind"},
                ExpressionAttributeValues={":kind": text(CATALOGUE_KIND)},
                ScanIndexForward=False,
                Limit=1,
            )
            items = answer.get("Items", [])
            if not items:
                return Catalogue(version=0, models={}, pools={})
            document = json.loads(get_text(items[0], "document"))
            return catalogue_from_document(document, version=get_int(items[0], "version"))

        found: Catalogue = await self._remember("catalogue", read)
        return found

    async def raise_estimate(self, account_id: str, permille: int, now_unix_s: int) -> None:
        try:
            await self._client.retried(
                "update_item",
                TableName=self._names.accounts,
                Key={"account_id": text(account_id)},
                UpdateExpression="SET #estimate = :permille, #raised = :now",
                ConditionExpression=(
                    "attribute_exists(#id) AND "
                    "(attribute_not_exists(#estimate) OR #estimate <= :permille OR #raised < :stale)"
                ),
                ExpressionAttributeNames={
                    "#id": "account_id",
                    "#estimate": "estimate_permille",
                    "#raised": "estimate_raised_at",
                },
                ExpressionAttributeValues={
                    ":permille": number(permille),
                    ":now": number(now_unix_s),
                    ":stale": number(now_unix_s - 86_400),
                },
            )
        except ConditionRefused:
            return
        self._kept.pop(f"account/{account_id}", None)

    def forget(self) -> None:
        """Drop all that is kept in the process."""
        self._kept.clear()

    async def _get(self, table: str, key: Item, *, consistent: bool = False) -> Item | None:
        answer = await self._client.retried("get_item", TableName=table, Key=key, ConsistentRead=consistent)
        return answer.get("Item")

    async def _remember[T](self, name: str, read: Callable[[], Awaitable[T]], *, fresh: bool = False) -> T:
        now_ms = self._clock.now_ms()
        kept = self._kept.get(name)
        if kept is not None and now_ms < kept.until_ms and not fresh:
            return kept.value  # type: ignore[no-any-return]
        value = await read()
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[name] = _Kept(value, now_ms + self._keep_ms)
        return value


def key_from_item(item: Item) -> ApiKey:
    """Return the key an item of the keys table stands for."""
    return ApiKey(
        id=get_text(item, "key_id"),
        digest=get_text(item, "digest"),
        account_id=get_text(item, "account_id"),
        name=get_text(item, "name"),
        prefix=get_text(item, "prefix"),
        enabled=get_flag(item, "enabled", default=True),
        models=get_texts(item, "models"),
        lanes=get_texts(item, "lanes"),
        ip_ranges=get_texts(item, "ip_ranges"),
        reseller_margin_bps=get_optional_int(item, "reseller_margin_bps"),
        labels=get_text_map(item, "labels"),
        caps=_caps(item),
        caps_version=get_int(item, "caps_version", 1),
        expires_at_unix_s=get_optional_int(item, "expires_at"),
        created_at_unix_s=get_int(item, "created_at"),
        disabled_at_unix_s=get_optional_int(item, "disabled_at"),
    )


def account_from_item(item: Item) -> Account:
    """Return the account an item of the accounts table stands for."""
    return Account(
        id=get_text(item, "account_id"),
        name=get_text(item, "name"),
        limits=Limits(
            requests=get_int(item, "requests_per_day"),
            budget_nano_usd=get_int(item, "budget_nano_usd_per_day"),
            concurrency=get_int(item, "concurrency", DEFAULT_CONCURRENCY),
        ),
        enabled=get_flag(item, "enabled", default=True),
        margin_bps=get_optional_int(item, "margin_bps"),
        version=get_int(item, "version", 1),
        created_at_unix_s=get_int(item, "created_at"),
        estimate_permille=get_int(item, "estimate_permille", PERMILLE),
        estimate_raised_at_unix_s=get_int(item, "estimate_raised_at"),
        revoked=get_int_map(item, "revoked"),
        lanes=get_texts(item, "lanes") or frozenset(),
        zdr=get_flag(item, "zdr", default=False),
        limits_from=LimitsFrom(get_text(item, "limits_from", LimitsFrom.OPERATOR)),
        entitled_day=get_text(item, "entitled_day") or None,
        monthly=_limits(get_optional_int(item, "monthly_requests"), get_optional_int(item, "monthly_budget_nano_usd")),
        requests_per_minute=get_optional_int(item, "requests_per_minute"),
        prepaid=get_flag(item, "prepaid", default=False),
        visitor_salt=get_text(item, "visitor_salt"),
        reseller_margin_bps=get_optional_int(item, "reseller_margin_bps"),
    )


def account_item(account: Account) -> dict[str, dict[str, Any]]:
    """Return the item of a new account, which has no key yet."""
    item: dict[str, dict[str, Any]] = {
        "account_id": text(account.id),
        "name": text(account.name),
        "requests_per_day": number(account.limits.requests),
        "budget_nano_usd_per_day": number(account.limits.budget_nano_usd),
        "concurrency": number(account.limits.concurrency),
        "enabled": {"BOOL": account.enabled},
        "version": number(account.version),
        "created_at": number(account.created_at_unix_s),
        "estimate_permille": number(account.estimate_permille),
        "estimate_raised_at": number(account.estimate_raised_at_unix_s),
        "revoked": {"M": {ref: number(at) for ref, at in account.revoked.items()}},
        "enabled_keys": number(0),
        "limits_from": text(account.limits_from),
    }
    if account.margin_bps is not None:
        item["margin_bps"] = number(account.margin_bps)
    if account.visitor_salt:
        item["visitor_salt"] = text(account.visitor_salt)
    if account.entitled_day is not None:
        item["entitled_day"] = text(account.entitled_day)
    return item


def _caps(item: Item) -> Limits | None:
    return _limits(
        get_optional_int(item, "cap_requests_per_day"),
        get_optional_int(item, "cap_budget_nano_usd_per_day"),
        get_optional_int(item, "cap_concurrency"),
    )


def _limits(requests: int | None, budget: int | None, concurrency: int | None = None) -> Limits | None:
    if requests is None and budget is None and concurrency is None:
        return None
    return Limits(
        requests=UNLIMITED_REQUESTS if requests is None else requests,
        budget_nano_usd=UNLIMITED_BUDGET_NANO_USD if budget is None else budget,
        concurrency=UNLIMITED_REQUESTS if concurrency is None else concurrency,
    )

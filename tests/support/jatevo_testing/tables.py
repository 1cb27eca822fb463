"""Fresh tables on a real engine, and what stands in them."""

import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from jatevo.adapters.dynamodb import schema
from jatevo.adapters.dynamodb.items import binary, number, text, texts
from jatevo.adapters.dynamodb.windows import pack
from jatevo.domain.accounts import Account, ApiKey
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Hold, Limits, Window
from jatevo_local.engine import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY


@cache
def session() -> Any:
    """Return a boto3 session with AWS's documented example credentials."""
    return boto3.session.Session(
        aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
    )


def plain_client(endpoint_url: str) -> Any:
    """Return a boto3 DynamoDB client for a test to look and meddle with."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=32)
    return session().client("dynamodb", endpoint_url=endpoint_url, config=config)


@contextmanager
def fresh_tables(endpoint_url: str) -> Iterator[schema.TableNames]:
    """Create all tables under a name of their own, and drop them at the end."""
    names = schema.TableNames.with_prefix(f"t{secrets.token_hex(4)}")
    client = plain_client(endpoint_url)
    for definition in schema.definitions(names):
        client.create_table(**definition)
    for definition in schema.definitions(names):
        client.get_waiter("table_exists").wait(
            TableName=definition["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
    try:
        yield names
    finally:
        for name in dataclasses.astuple(names):
            client.delete_table(TableName=name)
        client.close()


def put_window(client: Any, names: schema.TableNames, window: Window, open_: Mapping[str, Hold]) -> None:
    """Store a window as it is, whatever it says."""
    held = sum(hold.amount_nano_usd for hold in open_.values())
    item = {
        "owner": text(window.key.owner),
        "period": text(window.key.period),
        "requests_limit": number(window.limits.requests),
        "requests_left": number(window.requests_left - sum(hold.requests for hold in open_.values())),
        "budget_limit": number(window.limits.budget_nano_usd),
        "budget_left": number(window.budget_left_nano_usd - held),
        "settled": number(window.settled_nano_usd),
        "concurrency_limit": number(window.limits.concurrency),
        "limits_version": number(window.limits_version),
        "open": {"M": {name: binary(pack(hold)) for name, hold in open_.items()}},
        "sweep_shard": text("0"),
    }
    if window.sweep_at_unix_s is not None:
        item["sweep_at"] = number(window.sweep_at_unix_s)
    client.put_item(TableName=names.windows, Item=item)


def put_account(client: Any, names: schema.TableNames, account: Account) -> None:
    """Store an account as the registry would."""
    item = {
        "account_id": text(account.id),
        "name": text(account.name),
        "requests_per_day": number(account.limits.requests),
        "budget_nano_usd_per_day": number(account.limits.budget_nano_usd),
        "concurrency": number(account.limits.concurrency),
        "enabled": {"BOOL": account.enabled},
        "version": number(account.version),
        "created_at": number(account.created_at_unix_s),
        "limits_from": text(account.limits_from),
        "revoked": {"M": {ref: number(at) for ref, at in account.revoked.items()}},
    }
    if account.margin_bps is not None:
        item["margin_bps"] = number(account.margin_bps)
    if account.lanes:
        item["lanes"] = texts(account.lanes)
    if account.zdr:
        item["zdr"] = {"BOOL": True}
    monthly = account.monthly or Limits()
    quotas = {
        "monthly_requests": None if monthly.requests == UNLIMITED_REQUESTS else monthly.requests,
        "monthly_budget_nano_usd": (
            None if monthly.budget_nano_usd == UNLIMITED_BUDGET_NANO_USD else monthly.budget_nano_usd
        ),
        "requests_per_minute": account.requests_per_minute,
        "reseller_margin_bps": account.reseller_margin_bps,
    }
    item |= {name: number(value) for name, value in quotas.items() if value is not None}
    if account.prepaid:
        item["prepaid"] = {"BOOL": True}
    if account.entitled_day is not None:
        item["entitled_day"] = text(account.entitled_day)
    client.put_item(TableName=names.accounts, Item=item)


def put_key(client: Any, names: schema.TableNames, key: ApiKey) -> None:
    """Store a key as the registry would."""
    item: dict[str, Any] = {
        "digest": text(key.digest),
        "key_id": text(key.id),
        "account_id": text(key.account_id),
        "name": text(key.name),
        "prefix": text(key.prefix),
        "enabled": {"BOOL": key.enabled},
        "caps_version": number(key.caps_version),
        "created_at": number(key.created_at_unix_s),
    }
    if key.models is not None:
        item["models"] = texts(key.models)
    if key.ip_ranges is not None:
        item["ip_ranges"] = texts(key.ip_ranges)
    if key.lanes is not None:
        item["lanes"] = texts(key.lanes)
    if key.expires_at_unix_s is not None:
        item["expires_at"] = number(key.expires_at_unix_s)
    if key.disabled_at_unix_s is not None:
        item["disabled_at"] = number(key.disabled_at_unix_s)
    if key.reseller_margin_bps is not None:
        item["reseller_margin_bps"] = number(key.reseller_margin_bps)
    if key.labels:
        item["labels"] = {"M": {name: text(said) for name, said in key.labels.items()}}
    if key.caps is not None:
        caps = {
            "cap_requests_per_day": (key.caps.requests, UNLIMITED_REQUESTS),
            "cap_budget_nano_usd_per_day": (key.caps.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD),
            "cap_concurrency": (key.caps.concurrency, UNLIMITED_REQUESTS),
        }
        item |= {name: number(value) for name, (value, none) in caps.items() if value != none}
    client.put_item(TableName=names.keys, Item=item)

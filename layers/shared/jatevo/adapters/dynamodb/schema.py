"""
The tables: names, keys and indexes, as CreateTable wants them. The deployed template must agree with this.

=========  ==========================  =============================================  ==============================
table      partition key               sort key                                       indexes
=========  ==========================  =============================================  ==============================
windows    owner (`acct_…[/key_…]`)    period (`2026-11-23`)                          sweep: sweep_shard, sweep_at
ledger     book (`acct_…#2026-11-23`)  reservation_id
rollups    account_id                  period (`2026-11-23`, `total`)
accounts   account_id
keys       digest (SHA-256)                                                           by_account: account_id, key_id;
                                                                                      by_id: key_id
catalogue  kind (`catalogue`)          version (number)
operators  name
wallets    wallet (`solana:…`,                                                        by_account: account_id
           `eip155:0x…`)
sessions   owner (`nonce#…`, `acct_…`,         item
           `rate#…`)
health     kind (`pools`)              pool
audit      period (`2026-11`)          at (milliseconds, `#`, random)
responses  account_id                  item (`resp_…`, `conv_…`, `conv_…#…`)
prices     series (`state`, `history`,         at (number)
           `audit`)
holdings   snapshot                    part
=========  ==========================  =============================================  ==============================
"""

from dataclasses import dataclass
from typing import Any

SWEEP_INDEX = "sweep"
SWEEP_SHARDS = 8
"""Partitions of the sweep index: one would throttle when many windows open within a minute."""
KEYS_BY_ACCOUNT = "by_account"
KEYS_BY_ID = "by_id"
WALLETS_BY_ACCOUNT = "by_account"
CATALOGUE_KIND = "catalogue"
POOLS_KIND = "pools"


@dataclass(frozen=True, slots=True)
class TableNames:
    """The names of all tables of one deployment."""

    windows: str
    ledger: str
    rollups: str
    accounts: str
    keys: str
    catalogue: str
    operators: str
    wallets: str
    sessions: str
    responses: str
    prices: str
    holdings: str
    health: str
    audit: str

    @classmethod
    def with_prefix(cls, prefix: str) -> "TableNames":
        """Return the names `<prefix>-windows` and so on."""
        return cls(**{name: f"{prefix}-{name}" for name in cls.__slots__})


def definitions(names: TableNames) -> list[dict[str, Any]]:
    """Return the arguments of one CreateTable call for each table."""
    return [
        _table(names.windows, "owner:S", "period:S", {SWEEP_INDEX: ("sweep_shard:S", "sweep_at:N", "KEYS_ONLY")}),
        _table(names.ledger, "book:S", "reservation_id:S"),
        _table(names.rollups, "account_id:S", "period:S"),
        _table(names.accounts, "account_id:S"),
        _table(
            names.keys,
            "digest:S",
            None,
            {KEYS_BY_ACCOUNT: ("account_id:S", "key_id:S", "ALL"), KEYS_BY_ID: ("key_id:S", None, "KEYS_ONLY")},
        ),
        _table(names.catalogue, "kind:S", "version:N"),
        _table(names.operators, "name:S"),
        _table(names.wallets, "wallet:S", None, {WALLETS_BY_ACCOUNT: ("account_id:S", None, "ALL")}),
        _table(names.sessions, "owner:S", "item:S"),
        _table(names.responses, "account_id:S", "item:S"),
        _table(names.prices, "series:S", "at:N"),
        _table(names.holdings, "snapshot:S", "part:S"),
        _table(names.health, "kind:S", "pool:S"),
        _table(names.audit, "period:S", "at:S"),
    ]


def _table(
    name: str,
    hash_key: str,
    range_key: str | None = None,
    indexes: dict[str, tuple[str, str | None, str]] | None = None,
) -> dict[str, Any]:
    used = {hash_key, range_key}
    table: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _keys(hash_key, range_key),
    }
    if indexes:
        table["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": _keys(first, second), "Projection": {"ProjectionType": projection}}
            for index, (first, second, projection) in indexes.items()
        ]
        used |= {key for first, second, _ in indexes.values() for key in (first, second)}
    attributes = sorted(key.split(":") for key in used if key is not None)
    table["AttributeDefinitions"] = [{"AttributeName": key, "AttributeType": kind} for key, kind in attributes]
    return table


def _keys(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    pairs = [(hash_key, "HASH")] + ([(range_key, "RANGE")] if range_key is not None else [])
    return [{"AttributeName": key.split(":")[0], "KeyType": kind} for key, kind in pairs]

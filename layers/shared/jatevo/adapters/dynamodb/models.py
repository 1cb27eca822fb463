"""
The calmer tables as pynamodb models: accounts, keys, catalogue versions, operators.

The bases below name the attributes, exactly as `directory` reads them; `Tables.connect` binds them to the tables and
the endpoint of one deployment. Nothing here reads the environment, and several deployments may live in one process.
A limit that does not exist is an attribute that does not exist.
"""

from dataclasses import dataclass
from typing import cast

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    MapAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import NUMBER
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import MetaModel, Model

from jatevo.adapters.dynamodb.client import ClientOptions
from jatevo.adapters.dynamodb.schema import KEYS_BY_ACCOUNT, KEYS_BY_ID, TableNames


class IntegerAttribute(Attribute[int]):
    """A number that is never a float."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        return str(value)

    def deserialize(self, value: str) -> int:
        return int(value)


class AccountItem(Model):
    """An account. `enabled_keys` counts its keys that are not disabled; only the registry knows it."""

    account_id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    requests_per_day = IntegerAttribute()
    budget_nano_usd_per_day = IntegerAttribute()
    concurrency = IntegerAttribute()
    margin_bps = IntegerAttribute(null=True)
    enabled = BooleanAttribute()
    version = IntegerAttribute()
    created_at = IntegerAttribute()
    estimate_permille = IntegerAttribute(null=True)
    estimate_raised_at = IntegerAttribute(null=True)
    revoked: MapAttribute[str, int] = MapAttribute(null=True)  # type: ignore[no-untyped-call]  # pynamodb's gap
    enabled_keys = IntegerAttribute(null=True)
    lanes = UnicodeSetAttribute(null=True)
    zdr = BooleanAttribute(null=True)
    limits_from = UnicodeAttribute(null=True)
    entitled_day = UnicodeAttribute(null=True)
    visitor_salt = UnicodeAttribute(null=True)
    monthly_requests = IntegerAttribute(null=True)
    monthly_budget_nano_usd = IntegerAttribute(null=True)
    requests_per_minute = IntegerAttribute(null=True)
    prepaid = BooleanAttribute(null=True)
    reseller_margin_bps = IntegerAttribute(null=True)


class _KeysByAccount(GlobalSecondaryIndex["KeyItem"]):  # type: ignore[no-untyped-call]  # pynamodb's gap
    class Meta:
        index_name = KEYS_BY_ACCOUNT
        projection = AllProjection()

    account_id = UnicodeAttribute(hash_key=True)
    key_id = UnicodeAttribute(range_key=True)


class _KeysById(GlobalSecondaryIndex["KeyItem"]):  # type: ignore[no-untyped-call]  # pynamodb's gap
    class Meta:
        index_name = KEYS_BY_ID
        projection = KeysOnlyProjection()

    key_id = UnicodeAttribute(hash_key=True)


class KeyItem(Model):
    """An API key, under the SHA-256 of the key itself."""

    digest = UnicodeAttribute(hash_key=True)
    key_id = UnicodeAttribute()
    account_id = UnicodeAttribute()
    name = UnicodeAttribute()
    prefix = UnicodeAttribute()
    enabled = BooleanAttribute()
    models = UnicodeSetAttribute(null=True)
    lanes = UnicodeSetAttribute(null=True)
    ip_ranges = UnicodeSetAttribute(null=True)
    reseller_margin_bps = IntegerAttribute(null=True)
    labels: MapAttribute[str, str] = MapAttribute(null=True)  # type: ignore[no-untyped-call]  # pynamodb's gap
    cap_requests_per_day = IntegerAttribute(null=True)
    cap_budget_nano_usd_per_day = IntegerAttribute(null=True)
    cap_concurrency = IntegerAttribute(null=True)
    caps_version = IntegerAttribute()
    expires_at = IntegerAttribute(null=True)
    created_at = IntegerAttribute()
    disabled_at = IntegerAttribute(null=True)
    by_account = _KeysByAccount()
    by_id = _KeysById()


class CatalogueItem(Model):
    """One version of the catalogue; `document` is JSON."""

    kind = UnicodeAttribute(hash_key=True)
    version = IntegerAttribute(range_key=True)
    document = UnicodeAttribute()
    applied_at = IntegerAttribute()
    applied_by = UnicodeAttribute()


class OperatorItem(Model):
    """An operator; `digest` is the SHA-256 of the token."""

    name = UnicodeAttribute(hash_key=True)
    digest = UnicodeAttribute()
    enabled = BooleanAttribute()
    created_at = IntegerAttribute()


@dataclass(frozen=True, slots=True)
class Tables:
    """The models bound to the tables of one deployment."""

    accounts: type[AccountItem]
    keys: type[KeyItem]
    catalogue: type[CatalogueItem]
    operators: type[OperatorItem]
    transactions: Connection

    @classmethod
    def connect(cls, options: ClientOptions, names: TableNames) -> "Tables":
        """Bind the models. No request is sent, and no client made, before the first use."""
        return cls(
            accounts=_bound(AccountItem, names.accounts, options),
            keys=_bound(KeyItem, names.keys, options),
            catalogue=_bound(CatalogueItem, names.catalogue, options),
            operators=_bound(OperatorItem, names.operators, options),
            transactions=Connection(
                region=options.region,
                host=options.endpoint_url,
                connect_timeout_seconds=options.connect_timeout_s,
                read_timeout_seconds=options.read_timeout_s,
            ),
        )


def _bound[M: Model](base: type[M], table: str, options: ClientOptions) -> type[M]:
    """Return a subclass of a model with its own `Meta`, and so with its own connection."""
    meta = type(
        "Meta",
        (),
        {
            "table_name": table,
            "region": options.region,
            "host": options.endpoint_url,
            "connect_timeout_seconds": options.connect_timeout_s,
            "read_timeout_seconds": options.read_timeout_s,
        },
    )
    return cast("type[M]", MetaModel(base.__name__, (base,), {"Meta": meta, "__module__": base.__module__}))

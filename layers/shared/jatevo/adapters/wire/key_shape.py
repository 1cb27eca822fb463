"""A key as answers show it: everything but the secret, which nobody has."""

from typing import Any

from jatevo.domain.accounts import ApiKey
from jatevo.domain.money import format_usd
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits


def key_shape(key: ApiKey) -> dict[str, Any]:
    """Return a key's fields. A limit that does not exist is null."""
    caps = key.caps or Limits()
    budget = _unless(caps.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD)
    return {
        "key_id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "prefix": key.prefix,
        "enabled": key.enabled,
        "models": _listed(key.models),
        "lanes": _listed(key.lanes),
        "ip_ranges": _listed(key.ip_ranges),
        "requests_per_day": _unless(caps.requests, UNLIMITED_REQUESTS),
        "budget_usd_per_day": None if budget is None else format_usd(budget),
        "budget_nano_usd_per_day": budget,
        "concurrency": _unless(caps.concurrency, UNLIMITED_REQUESTS),
        "reseller_margin_bps": key.reseller_margin_bps,
        "labels": dict(sorted(key.labels.items())),
        "expires_at_unix_s": key.expires_at_unix_s,
        "created_at_unix_s": key.created_at_unix_s,
        "disabled_at_unix_s": key.disabled_at_unix_s,
    }


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _unless(value: int, unlimited: int) -> int | None:
    return None if value == unlimited else value

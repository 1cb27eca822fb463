"""
What the admin API gives: JSON shapes that scripts may rely on. Fields may be added, never renamed or removed.

`*_nano_usd` are integers, `*_usd` decimal strings, `*_unix_s` integer seconds. A limit that does not exist is null.
"""

from typing import Any

from jatevo.application.administration.catalogues import Applied
from jatevo.application.registry import CatalogueRecord, Operator, Page
from jatevo.domain.accounts import Account, ApiKey
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits, Window

type Json = dict[str, Any]


def account_shape(account: Account) -> Json:
    return {
        "account_id": account.id,
        "name": account.name,
        "requests_per_day": account.limits.requests,
        "budget_usd_per_day": format_usd(account.limits.budget_nano_usd),
        "budget_nano_usd_per_day": account.limits.budget_nano_usd,
        "concurrency": account.limits.concurrency,
        "margin_bps": account.margin_bps,
        "enabled": account.enabled,
        "lanes": sorted(account.lanes),
        "zdr": account.zdr,
        "limits_from": account.limits_from.value,
        "entitled_day": account.entitled_day,
        "version": account.version,
        "created_at_unix_s": account.created_at_unix_s,
    }


def key_shape(key: ApiKey) -> Json:
    caps = key.caps or Limits()
    budget = _unless(caps.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD)
    return {
        "key_id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "prefix": key.prefix,
        "enabled": key.enabled,
        "models": None if key.models is None else sorted(key.models),
        "lanes": None if key.lanes is None else sorted(key.lanes),
        "ip_ranges": None if key.ip_ranges is None else sorted(key.ip_ranges),
        "requests_per_day": _unless(caps.requests, UNLIMITED_REQUESTS),
        "budget_usd_per_day": None if budget is None else format_usd(budget),
        "budget_nano_usd_per_day": budget,
        "concurrency": _unless(caps.concurrency, UNLIMITED_REQUESTS),
        "expires_at_unix_s": key.expires_at_unix_s,
        "created_at_unix_s": key.created_at_unix_s,
        "disabled_at_unix_s": key.disabled_at_unix_s,
    }


def window_shape(account_id: str, window: Window) -> Json:
    return {
        "account_id": account_id,
        "day": window.key.period,
        "requests_limit": window.limits.requests,
        "requests_left": window.requests_left,
        "budget_limit_nano_usd": window.limits.budget_nano_usd,
        "budget_left_nano_usd": window.budget_left_nano_usd,
        "settled_nano_usd": window.settled_nano_usd,
        "exposed_nano_usd": window.exposed_nano_usd,
        "concurrency_limit": window.limits.concurrency,
        "limits_version": window.limits_version,
        "blocked": sorted(window.blocked),
        "open": {
            reservation_id: {
                "amount_nano_usd": hold.amount_nano_usd,
                "key_id": f"key_{hold.key_ref}",
                "expires_at_unix_s": hold.expires_at_unix_s,
            }
            for reservation_id, hold in window.open.items()
        },
    }


def entry_shape(entry: LedgerEntry) -> Json:
    return {
        "reservation_id": entry.reservation_id,
        "day": entry.day,
        "outcome": entry.outcome.value,
        "reason": entry.reason.value,
        "key_id": entry.key_id,
        "model": entry.model,
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "cache_read_input_tokens": entry.usage.cache_read_input_tokens,
        "cache_creation_input_tokens": entry.usage.cache_creation_input_tokens,
        "reasoning_output_tokens": entry.usage.reasoning_output_tokens,
        "reserved_nano_usd": entry.reserved_nano_usd,
        "cost_nano_usd": entry.figures.cost_nano_usd,
        "margin_nano_usd": entry.figures.margin_nano_usd,
        "charge_nano_usd": entry.figures.charge_nano_usd,
        "overrun_nano_usd": entry.figures.overrun_nano_usd,
        "exposure_nano_usd": entry.figures.exposure_nano_usd,
        "usage_source": entry.usage_source.value,
        "price_version": entry.price_version,
        "duration_ms": entry.timings.duration_ms,
        "first_token_ms": entry.timings.first_token_ms,
        "decided_at_unix_ms": entry.decided_at_ms,
    }


def ledger_shape(page: Page[LedgerEntry]) -> Json:
    return {"entries": [entry_shape(entry) for entry in page.entries], "next": page.next}


def catalogue_shape(record: CatalogueRecord) -> Json:
    return {
        "version": record.version,
        "applied_at_unix_s": record.applied_at_unix_s,
        "applied_by": record.applied_by,
        "document": record.document,
    }


def applied_shape(applied: Applied, *, dry_run: bool) -> Json:
    return {
        "version": applied.version,
        "changed": applied.changed,
        "dry_run": dry_run,
        "difference": applied.difference,
    }


def operator_shape(operator: Operator) -> Json:
    return {"name": operator.name, "enabled": operator.enabled, "created_at_unix_s": operator.created_at_unix_s}


def _unless(value: int, unlimited: int) -> int | None:
    return None if value == unlimited else value

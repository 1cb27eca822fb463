"""
What the admin API gives: JSON shapes that scripts may rely on. Fields may be added, never renamed or removed.

`*_nano_usd` are integers, `*_usd` decimal strings, `*_unix_s` integer seconds. A limit that does not exist is null.
"""

from collections.abc import Sequence
from typing import Any

from jatevo.application.administration.accounts import unless
from jatevo.application.administration.books import Statement
from jatevo.application.administration.catalogues import Applied
from jatevo.application.administration.prices import PriceView
from jatevo.application.prices import Told
from jatevo.application.registry import CatalogueRecord, Operator, Page
from jatevo.domain.accounts import Account
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.grants import Grant
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.oracle import Basis
from jatevo.domain.price_agreement import Witness
from jatevo.domain.prices import format_price
from jatevo.domain.rollups import Tally
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
        "requests_per_minute": account.requests_per_minute,
        "requests_per_month": unless((account.monthly or Limits()).requests, UNLIMITED_REQUESTS),
        "budget_usd_per_month": _monthly_usd(account),
        "reseller_margin_bps": account.reseller_margin_bps,
        "prepaid": account.prepaid,
        "limits_from": account.limits_from.value,
        "entitled_day": account.entitled_day,
        "version": account.version,
        "created_at_unix_s": account.created_at_unix_s,
    }


def window_shape(account_id: str, window: Window) -> Json:
    return {
        "account_id": account_id,
        "day": window.key.period,
        "requests_limit": window.limits.requests,
        "requests_left": window.requests_left,
        "budget_limit_nano_usd": window.limits.budget_nano_usd,
        "budget_left_nano_usd": window.budget_left_nano_usd,
        "budget_limit_usd": format_usd(window.limits.budget_nano_usd),
        "budget_left_usd": format_usd(window.budget_left_nano_usd),
        "settled_usd": format_usd(window.settled_nano_usd),
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


def bound_shape(window: Window) -> Json:
    """A window beside the day's: what it bounds, and what is left; null where it bounds nothing."""
    kind, limits = kind_of(window.key), window.limits
    counts, money = limits.requests < UNLIMITED_REQUESTS, limits.budget_nano_usd < UNLIMITED_BUDGET_NANO_USD
    return {
        "bounds": kind.value,
        "period": window.key.period,
        "key_id": window.key.owner.rpartition("/")[2] if kind is Kind.KEY else None,
        "requests_limit": limits.requests if counts else None,
        "requests_left": window.requests_left if counts else None,
        "budget_limit_usd": format_usd(limits.budget_nano_usd) if money else None,
        "budget_left_usd": format_usd(window.budget_left_nano_usd) if money else None,
        "settled_usd": format_usd(window.settled_nano_usd),
        "concurrency_limit": unless(limits.concurrency, UNLIMITED_REQUESTS),
        "in_flight": len(window.open),
    }


def entry_shape(entry: LedgerEntry) -> Json:
    return {
        "reservation_id": entry.reservation_id,
        "day": entry.day,
        "outcome": entry.outcome.value,
        "reason": entry.reason.value,
        "key_id": entry.key_id,
        "model": entry.model,
        "lane": entry.lane,
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "cache_read_input_tokens": entry.usage.cache_read_input_tokens,
        "cache_creation_input_tokens": entry.usage.cache_creation_input_tokens,
        "reasoning_output_tokens": entry.usage.reasoning_output_tokens,
        "reserved_nano_usd": entry.reserved_nano_usd,
        "cost_nano_usd": entry.figures.cost_nano_usd,
        "margin_nano_usd": entry.figures.margin_nano_usd,
        "charge_nano_usd": entry.figures.charge_nano_usd,
        "reseller_margin_nano_usd": entry.figures.reseller_margin_nano_usd,
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


def statement_shape(statement: Statement) -> Json:
    """A day's sums; amounts as decimal strings. Of a deleted key only the id is known."""
    models = {model: tally_shape(tally) for model, tally in sorted(statement.by_model.items())}
    keys: Json = {}
    for key_id, tally in sorted(statement.by_key.items()):
        key = statement.keys.get(key_id)
        named: Json = {"name": None, "labels": {}} if key is None else {"name": key.name, "labels": dict(key.labels)}
        keys[key_id] = {**named, **tally_shape(tally)}
    return {
        "account_id": statement.account_id,
        "day": statement.day,
        "total": tally_shape(statement.total),
        "models": models,
        "keys": keys,
    }


def tally_shape(tally: Tally) -> Json:
    return {
        "requests": tally.requests,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "cost_usd": format_usd(tally.cost_nano_usd),
        "margin_usd": format_usd(tally.margin_nano_usd),
        "charge_usd": format_usd(tally.charge_nano_usd),
        "reseller_margin_usd": format_usd(tally.reseller_margin_nano_usd),
        "resale_usd": format_usd(tally.resale_nano_usd),
        "overrun_usd": format_usd(tally.overrun_nano_usd),
        "exposure_usd": format_usd(tally.exposure_nano_usd),
    }


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


def price_shape(view: PriceView) -> Json:
    """The price and all that it is the least of; prices of a whole token."""
    quote, oracle = view.quote, view.oracle
    return {
        "price_usd": _price(quote.price_pico_usd),
        "price_pico_usd": quote.price_pico_usd,
        "state": quote.state,
        "basis": quote.basis,
        "as_of_unix_s": quote.as_of_unix_s,
        "in_force_usd": _price(quote.in_force_pico_usd),
        "average_usd": _price(quote.average_pico_usd),
        "ceiling_usd": _price(quote.ceiling_pico_usd),
        "decided_at_unix_s": oracle.at_unix_s or None,
        "market": {
            "state": view.market_state,
            "price_usd": _price(oracle.market.price_pico_usd),
            "good_at_unix_s": oracle.market.good_at_unix_s,
            "pending": _pending_shape(view),
        },
        "rate": _rate_shape(view),
        "sources": [_witness_shape(witness) for witness in oracle.witnesses],
    }


def told_shape(told: Told) -> Json:
    """One decision; those of operators name who and why."""
    return {
        "at_ms": told.at_ms,
        "reason": told.reason,
        "state": told.state,
        "previous_state": told.previous_state,
        "price_usd": _price(told.effective_pico_usd),
        "previous_price_usd": _price(told.previous_effective_pico_usd),
        "market_usd": _price(told.market_pico_usd),
        "average_usd": _price(told.average_pico_usd),
        "ceiling_usd": _price(told.ceiling_pico_usd),
        "rate_usd": _price(told.rate_pico_usd),
        "previous_rate_usd": _price(told.previous_rate_pico_usd),
        "rate_expires_at_unix_s": told.rate_expires_at_unix_s,
        "operator": told.operator or None,
        "note": told.note or None,
        "sources": [_witness_shape(witness) for witness in told.witnesses],
    }


def _pending_shape(view: PriceView) -> Json | None:
    pending = view.oracle.market.pending
    if pending is None:
        return None
    return {"side": pending.side, "price_usd": _price(pending.price_pico_usd), "lasted_s": pending.lasted_s}


def _rate_shape(view: PriceView) -> Json | None:
    rate = view.oracle.rate
    if rate is None or view.quote.basis is not Basis.RATE:
        return None
    return {
        "price_usd": _price(rate.price_pico_usd),
        "expires_at_unix_s": rate.expires_at_unix_s,
        "reason": rate.reason,
        "operator": rate.operator,
        "set_at_unix_s": rate.set_at_unix_s,
    }


def _witness_shape(witness: Witness) -> Json:
    return {
        "source": witness.source,
        "standing": witness.standing,
        "price_usd": _price(witness.price_pico_usd),
        "as_of_unix_s": witness.as_of_unix_s,
        "why": witness.why or None,
    }


def _price(pico_usd: int | None) -> str | None:
    return None if pico_usd is None else format_price(pico_usd)


def _monthly_usd(account: Account) -> str | None:
    if account.monthly is None or account.monthly.budget_nano_usd == UNLIMITED_BUDGET_NANO_USD:
        return None
    return format_usd(account.monthly.budget_nano_usd)


def grant_shape(grant: Grant) -> Json:
    return {
        "grant_id": grant.id,
        "account_id": grant.account_id,
        "amount_usd": format_usd(grant.amount_nano_usd),
        "amount_nano_usd": grant.amount_nano_usd,
        "reason": grant.reason,
        "operator": grant.operator,
        "granted_at_unix_s": grant.at_unix_s,
    }


def balance_shape(account_id: str, balance: Window, grants: Sequence[Grant]) -> Json:
    return {
        "account_id": account_id,
        "granted_usd": format_usd(balance.limits.budget_nano_usd),
        "spent_usd": format_usd(balance.settled_nano_usd),
        "in_flight_usd": format_usd(balance.held_nano_usd),
        "remaining_usd": format_usd(balance.budget_left_nano_usd),
        "grants": [grant_shape(grant) for grant in grants],
    }

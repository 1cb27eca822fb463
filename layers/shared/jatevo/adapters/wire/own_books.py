"""
The books of an account as its owner gets them: JSON shapes, and CSV that a spreadsheet may open.

Amounts are decimal strings of US dollars, exact. In CSV no cell can be taken for a formula: a text that begins like one
gets an apostrophe before it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jatevo.application.self_service.books import Sum
from jatevo.domain.calendar import iso_instant
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_COLUMNS = (
    "reservation_id",
    "day",
    "at",
    "key_id",
    "key_name",
    "model",
    "lane",
    "outcome",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
    "reserved_usd",
    "charge_usd",
    "usage_source",
    "duration_ms",
)


def ledger_entry(entry: LedgerEntry, key_names: Mapping[str, str]) -> dict[str, Any]:
    """Return one decision. The key's name is null when the key was deleted."""
    at_ms = reserved_at_ms(entry.reservation_id)
    return {
        "reservation_id": entry.reservation_id,
        "day": entry.day,
        "at": iso_instant(at_ms // 1000),
        "at_unix_ms": at_ms,
        "decided_at_unix_ms": entry.decided_at_ms,
        "key_id": entry.key_id,
        "key_name": key_names.get(entry.key_id),
        "model": entry.model,
        "lane": entry.lane,
        "outcome": entry.outcome.value,
        "input_tokens": entry.usage.input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "cache_read_input_tokens": entry.usage.cache_read_input_tokens,
        "cache_creation_input_tokens": entry.usage.cache_creation_input_tokens,
        "reasoning_output_tokens": entry.usage.reasoning_output_tokens,
        "reserved_usd": format_usd(entry.reserved_nano_usd),
        "charge_usd": format_usd(entry.figures.charge_nano_usd),
        "usage_source": entry.usage_source.value,
        "duration_ms": entry.timings.duration_ms,
        "first_token_ms": entry.timings.first_token_ms,
    }


def ledger_csv(entries: Iterable[LedgerEntry], key_names: Mapping[str, str]) -> str:
    """Return decisions as CSV (RFC 4180), with a header."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for entry in entries:
        shape = ledger_entry(entry, key_names)
        rows.writerow([_cell(shape[column]) for column in _COLUMNS])
    return text.getvalue()


def usage_sums(sums: Sequence[Sum], key_names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return sums, each with what it is of, and a label for people."""
    return [_sum(each, key_names) for each in sums]


def _sum(each: Sum, key_names: Mapping[str, str]) -> dict[str, Any]:
    names = {"key": lambda key_id: key_names.get(key_id) or key_id}
    label = " · ".join(names.get(dimension, str)(value) for dimension, value in each.of.items())
    tally = each.tally
    return {
        "label": label,
        **{("key_id" if dimension == "key" else dimension): value for dimension, value in each.of.items()},
        "requests": tally.requests,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "cache_read_input_tokens": tally.cache_read_input_tokens,
        "total_tokens": tally.total_tokens,
        "charge_usd": format_usd(tally.charge_nano_usd),
        "resale_usd": format_usd(tally.resale_nano_usd),
    }


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text

"""The `jatevo admin price` commands."""

import argparse
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jatevo_cli import text
from jatevo_cli.api import Api
from jatevo_cli.commands import PAGE, Shown

_DOES = {
    "ok": "ok",
    "frozen": "frozen: the last good price is kept",
    "degraded": "degraded: kept for long, look at the sources",
    "stale": "stale: no new day is opened on it; set a rate, or mend the sources",
}


def show(api: Api, _options: argparse.Namespace) -> Shown:
    return _view(api.get("price"))


def set_rate(api: Api, options: argparse.Namespace) -> Shown:
    body = {
        "price_usd": options.price_usd,
        "expires_at_unix_s": options.expires_at_unix_s,
        "reason": options.reason,
    }
    shown = _view(api.put("price/rate", json.dumps(body).encode()))
    if shown.data["price_usd"] == shown.data["rate"]["price_usd"]:
        return shown
    note = "The rate is in force, but the average of 24 hours and the daily rise bound the price."
    return Shown(shown.data, shown.text, (note,))


def clear_rate(api: Api, options: argparse.Namespace) -> Shown:
    return _view(api.delete("price/rate", reason=options.reason))


def history(api: Api, options: argparse.Namespace) -> Shown:
    lines: list[Any] = []
    before_ms: int | None = None
    while len(lines) < options.limit:
        limit = min(PAGE, options.limit - len(lines))
        audit = "true" if options.audit else "false"
        page = api.get("price/history", limit=limit, before_ms=before_ms, audit=audit)
        lines += page["decisions"]
        before_ms = page["next_before_ms"]
        if before_ms is None:
            break
    rows = (
        (
            _moment(line["at_ms"]),
            line["reason"],
            line["state"],
            text.optional_usd(line["price_usd"]),
            text.optional_usd(line["market_usd"]),
            text.optional_usd(line["rate_usd"]),
            _counts(line["sources"]),
            f"{line['operator']}: {line['note']}" if line["operator"] else "",
        )
        for line in lines
    )
    header = ("at (UTC)", "decision", "state", "price", "market", "rate", "agreed", "by")
    return Shown({"decisions": lines, "next_before_ms": before_ms}, text.table(header, rows, "no decisions"))


def _view(answer: Mapping[str, Any]) -> Shown:
    market, rate = answer["market"], answer["rate"]
    pairs: list[tuple[str, object]] = [
        ("price", text.optional_usd(answer["price_usd"])),
        ("state", _DOES[answer["state"]]),
        ("as of", text.instant(answer["as_of_unix_s"])),
        ("least of", f"in force {text.optional_usd(answer['in_force_usd'])} ({answer['basis']})"),
        ("", f"24 h average {text.optional_usd(answer['average_usd'])}"),
        ("", f"most for today {text.optional_usd(answer['ceiling_usd'])}"),
        ("market", f"{text.optional_usd(market['price_usd'])} ({market['state']})"),
    ]
    if market["pending"]:
        pending = market["pending"]
        pairs.append(("pending", f"{pending['side']} to ${pending['price_usd']}, seen for {pending['lasted_s']} s"))
    if rate:
        until = f"until {text.instant(rate['expires_at_unix_s'])}"
        pairs.append(("rate", f"${rate['price_usd']} {until}, by {rate['operator']}: {rate['reason']}"))
    rows = (
        (
            one["source"],
            one["standing"],
            text.optional_usd(one["price_usd"]),
            text.instant(one["as_of_unix_s"]),
            one["why"] or "",
        )
        for one in answer["sources"]
    )
    sources = text.table(("source", "standing", "price", "as of", "why"), rows, "no sources")
    return Shown(answer, f"{text.fields(pairs)}\n\n{sources}")


def _counts(sources: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(one['standing'] == 'agreed' for one in sources)}/{len(sources)}"


def _moment(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms // 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")

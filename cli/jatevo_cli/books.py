"""The `jatevo admin` commands of the books: audits, corrections, what all accounts came to on a day."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from jatevo_cli import text
from jatevo_cli.api import Api, path
from jatevo_cli.commands import PAGE, Shown

_DIFFER = 1
_SUMS = ("requests", "input_tokens", "output_tokens")
_AMOUNTS = ("cost", "margin", "charge", "reseller_margin", "overrun", "exposure")
_TOP_MODELS = 3


def audit(api: Api, options: argparse.Namespace) -> Shown:
    """Recompute windows from the ledger: of one account, or of all. Exit status 1 when any differs."""
    if options.scheduled:
        return _report(api.get(path("audits", options.day)))
    ids = [options.account] if options.account else list(_accounts(api))
    audits = []
    for place, account_id in enumerate(ids, 1):
        audits.append(api.get(path("accounts", account_id, "audit"), day=options.day))
        _progress(place, len(ids))
    differences = [{"account_id": one["account_id"], **found} for one in audits for found in one["differences"]]
    rows = [
        (one["account_id"], one["window"], one["period"], one["counter"], one["expected"], one["found"])
        for one in differences
    ]
    windows, entries = sum(len(one["windows"]) for one in audits), sum(one["entries"] for one in audits)
    busy = [one["account_id"] for one in audits if one["busy"]]
    summary = f"{len(audits)} accounts, {windows} windows, {entries} ledger entries: {len(rows)} differences"
    header = ("account", "window", "period", "counter", "the ledger makes it", "it is")
    shown = f"{text.table(header, rows, '')}\n\n{summary}" if rows else summary
    notes = (f"not audited, because requests kept ending: {', '.join(busy)}",) if busy else ()
    data = {"day": options.day, "accounts": len(audits), "differences": differences, "busy": busy}
    return Shown(data, shown, notes, status=_DIFFER if rows else 0)


def _report(answer: Mapping[str, Any]) -> Shown:
    """Show what the schedule found on a day."""
    pairs = [(name, answer[name]) for name in ("day", "complete", "accounts", "windows", "entries", "busy")]
    rows = (
        tuple(one[name] for name in ("window", "period", "counter", "expected", "found"))
        for one in answer["differences"]
    )
    table = text.table(("window", "period", "counter", "expected", "found"), rows, "no differences")
    return Shown(answer, f"{text.fields(pairs)}\n\n{table}", status=_DIFFER if answer["difference_count"] else 0)


def correct(api: Api, options: argparse.Namespace) -> Shown:
    body = json.dumps({"day": options.day, "reason": options.reason}).encode()
    return _corrections(api.post(_book(options), body), "nothing differed")


def correction_list(api: Api, options: argparse.Namespace) -> Shown:
    return _corrections(api.get(_book(options)), "no corrections")


def _book(options: argparse.Namespace) -> str:
    """Return where the corrections of an account, or of a lane, stand."""
    if "lane" in options:
        return path("lanes", options.lane, "corrections")
    return path("accounts", options.account, "corrections")


def statement_day(api: Api, options: argparse.Namespace) -> Shown:
    """Show what each account came to on a day, and all of them."""
    accounts, after, day = list[Any](), None, options.day
    while True:
        page = api.get("statements", day=day, after=after, limit=PAGE)
        accounts += page["accounts"]
        day, after = page["day"], page["next"]
        if after is None:
            break
        print(f"{len(accounts)} accounts so far", file=sys.stderr)
    total = _total([one["total"] for one in accounts])
    data = {"day": day, "accounts": accounts, "total": total}
    header = ("account", *_SUMS, *(f"{name}_usd" for name in _AMOUNTS), "top models")
    rows = [(one["account_id"], *_figures(one["total"]), _top(one["models"])) for one in accounts]
    if options.csv:
        return Shown(data, _csv(("day", *header), [(day, *row) for row in rows]))
    rows.append(("total", *_figures(total), ""))
    return Shown(data, text.table(header, rows, "nothing was used"))


def _accounts(api: Api) -> Iterator[str]:
    after: str | None = None
    while True:
        page = api.get("accounts", after=after, limit=PAGE)
        yield from (account["account_id"] for account in page["accounts"])
        after = page["next"]
        if after is None:
            return


def _progress(done: int, of: int) -> None:
    """Say how far it is, to a person who waits."""
    if sys.stderr.isatty() and of > 1:
        print(f"\r{done} of {of} accounts", end="\n" if done == of else "", file=sys.stderr, flush=True)


def _corrections(answer: Mapping[str, Any], empty: str) -> Shown:
    rows = (
        (
            one["correction_id"],
            text.instant(one["corrected_at_unix_s"]),
            one["operator"],
            one["window"],
            one["period"],
            _moved(one),
            one["reason"],
        )
        for one in answer["corrections"]
    )
    header = ("correction", "when", "by", "window", "period", "moved", "reason")
    return Shown(answer, text.table(header, rows, empty))


def _moved(one: Mapping[str, Any]) -> str:
    before, after = one["before"], one["after"]
    return ", ".join(f"{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name])


def _figures(tally: Mapping[str, Any]) -> tuple[object, ...]:
    return (*(tally[name] for name in _SUMS), *(tally[f"{name}_usd"] for name in _AMOUNTS))


def _top(models: Mapping[str, Any]) -> str:
    """Return the models that were charged most, the dearest first."""
    by_charge = sorted(models, key=lambda model: (-text.nano_usd(models[model]["charge_usd"]), model))
    return " ".join(by_charge[:_TOP_MODELS])


def _total(tallies: list[Mapping[str, Any]]) -> dict[str, object]:
    sums: dict[str, object] = {name: sum(tally[name] for tally in tallies) for name in _SUMS}
    for name in _AMOUNTS:
        nano_usd = sum(text.nano_usd(tally[f"{name}_usd"]) for tally in tallies)
        sums[f"{name}_usd"] = text.decimal_usd(nano_usd)
    return sums


def _csv(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(name.replace(" ", "_") for name in header)
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")

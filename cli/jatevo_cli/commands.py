"""
What each `jatevo admin` command does: one request or a few, and how the answer reads.

A command takes the API and its options and returns `Shown`: the raw JSON, the same for people, and a note for stderr.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jatevo_cli import text
from jatevo_cli.api import USAGE, Api, CommandError, path

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """The outcome of a command."""

    data: Any
    text: str
    notes: Sequence[str] = ()
    status: int = 0
    """The exit status: 0, or 1 for an answer that asks for attention."""


def catalog_apply(api: Api, options: argparse.Namespace) -> Shown:
    body = {"document": _document(options.file), "dry_run": options.dry_run}
    answer = api.put("catalog", _json(body))
    lines = list(answer["difference"])
    if answer["changed"]:
        lines.append(f"applied as version {answer['version']}")
    elif lines:
        lines.append(f"not applied: version {answer['version']} stays in force")
    else:
        lines.append(f"nothing to change: version {answer['version']} is in force")
    return Shown(answer, "\n".join(lines))


def catalog_show(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get("catalog", version=options.version)
    document = answer["document"]
    head = f"version {answer['version']}, applied {text.instant(answer['applied_at_unix_s'])} by {answer['applied_by']}"
    pools = text.table(
        ("pool", "base_url", "api_key"),
        ((pool["id"], pool["base_url"], pool.get("api_key")) for pool in document.get("pools", [])),
        "no pools",
    )
    models = text.table(
        ("model", "context", "output", "price, USD per million tokens", "routes"),
        (
            (
                model["id"],
                model["context_window"],
                model["max_output_tokens"],
                text.prices(model["price"]),
                ", ".join(f"{route['pool']}:{route['model']}" for route in model["routes"]),
            )
            for model in document["models"]
        ),
        "no models",
    )
    return Shown(answer, f"{head}\n\n{models}\n\n{pools}")


def account_create(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("accounts", _json(_sent(options, _ACCOUNT_FIELDS)))
    return Shown(answer, _account(answer))


def account_show(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get(path("accounts", options.account))
    return Shown(answer, _account(answer))


def account_set(api: Api, options: argparse.Namespace) -> Shown:
    change = _sent(options, (*_ACCOUNT_FIELDS, "enabled", "limits_from"))
    if not change:
        raise CommandError(USAGE, "nothing to set: name at least one of the account's limits")
    answer = api.patch(path("accounts", options.account), _json(change))
    return Shown(answer, _account(answer))


def account_list(api: Api, _options: argparse.Namespace) -> Shown:
    accounts: list[Any] = []
    after: str | None = None
    while True:
        page = api.get("accounts", limit=PAGE, after=after)
        accounts += page["accounts"]
        after = page["next"]
        if after is None:
            break
    accounts.sort(key=lambda account: (account["name"], account["account_id"]))
    rows = (
        (
            account["account_id"],
            account["name"],
            account["requests_per_day"],
            f"${account['budget_usd_per_day']}",
            account["concurrency"],
            text.margin(account["margin_bps"]),
            account["enabled"],
        )
        for account in accounts
    )
    header = ("account", "name", "requests/day", "budget/day", "concurrency", "margin", "enabled")
    return Shown({"accounts": accounts, "next": None}, text.table(header, rows, "no accounts"))


def account_erase(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("accounts", options.account, "erase"))
    return Shown(answer, text.fields(answer.items()))


def key_create(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("accounts", options.account, "keys"), _json(_sent(options, _KEY_FIELDS)))
    shown = text.fields([("key", answer["key"]), *_key_fields(answer)])
    note = "The key is shown this once: keep it now. Only its SHA-256 is stored."
    return Shown(answer, shown, (note, *_unknown_models(answer)))


def key_set(api: Api, options: argparse.Namespace) -> Shown:
    change = _sent(options, _KEY_FIELDS)
    if not change:
        raise CommandError(USAGE, "nothing to set: name at least one of the key's limits")
    answer = api.patch(path("keys", options.key), _json(change))
    return Shown(answer, text.fields(_key_fields(answer)), _unknown_models(answer))


def key_list(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get(path("accounts", options.account, "keys"))
    rows = (
        (
            key["key_id"],
            key["name"],
            f"{key['prefix']}…",
            key["requests_per_day"],
            text.optional_usd(key["budget_usd_per_day"]),
            ", ".join(key["models"] or ["all"]),
            text.instant(key["expires_at_unix_s"]),
            "yes" if key["enabled"] else f"no, since {text.instant(key['disabled_at_unix_s'])}",
        )
        for key in answer["keys"]
    )
    header = ("key", "name", "begins", "requests/day", "budget/day", "models", "expires", "enabled")
    return Shown(answer, text.table(header, rows, "no keys"))


def key_disable(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("keys", options.key, "disable"))
    return Shown(answer, text.fields(_key_fields(answer)))


def window_show(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get(path("accounts", options.account, "window"), day=options.day)
    held = sum(entry["amount_nano_usd"] for entry in answer["open"].values())
    counters = text.fields(
        [
            ("account", answer["account_id"]),
            ("day (UTC)", answer["day"]),
            ("requests left", f"{answer['requests_left']} of {answer['requests_limit']}"),
            (
                "budget left",
                f"{text.usd(answer['budget_left_nano_usd'])} of {text.usd(answer['budget_limit_nano_usd'])}",
            ),
            ("settled", text.usd(answer["settled_nano_usd"])),
            ("held", f"{text.usd(held)} by {len(answer['open'])} open"),
        ]
    )
    rows = (
        (name, text.usd(entry["amount_nano_usd"]), entry["key_id"], text.instant(entry["expires_at_unix_s"]))
        for name, entry in sorted(answer["open"].items())
    )
    reservations = text.table(("reservation", "held", "key", "expires"), rows, "")
    return Shown(answer, "\n\n".join(filter(None, (counters, _beside(answer["beside"]), reservations))))


def _beside(windows: Sequence[Mapping[str, Any]]) -> str:
    """Return the windows that bind beside the day's."""
    rows = (
        (
            one["key_id"] or one["bounds"],
            one["period"],
            "-" if one["requests_limit"] is None else f"{one['requests_left']} of {one['requests_limit']}",
            "-" if one["budget_limit_usd"] is None else f"${one['budget_left_usd']} of ${one['budget_limit_usd']}",
            f"${one['settled_usd']}",
            one["in_flight"],
        )
        for one in windows
    )
    return text.table(("also bound by", "period", "requests left", "budget left", "settled", "open"), rows, "")


def statement_show(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get(path("accounts", options.account, "statement"), day=options.day)
    if options.by == "key":
        return _statement_by_key(answer)
    header = ("model", "requests", "input", "output", "cost", "margin", "charge", "overrun", "exposure")
    sums = [*answer["models"].items(), ("total", answer["total"])]
    rows = (
        (
            model,
            tally["requests"],
            tally["input_tokens"],
            tally["output_tokens"],
            *(tally[f"{name}_usd"] for name in ("cost", "margin", "charge", "overrun", "exposure")),
        )
        for model, tally in sums
    )
    return Shown(answer, text.table(header, rows, "nothing was used"))


def _statement_by_key(answer: Mapping[str, Any]) -> Shown:
    """Return what each key was used for: what its user pays, and how that splits into charge and reseller's margin."""
    sums = [*answer["keys"].items(), ("total", {"name": None, "labels": {}, **answer["total"]})]
    rows = (
        (
            key_id,
            tally["name"] or "-",
            ", ".join(f"{name}={value}" for name, value in tally["labels"].items()) or "-",
            tally["requests"],
            tally["input_tokens"],
            tally["output_tokens"],
            *(tally[f"{name}_usd"] for name in ("cost", "margin", "charge", "reseller_margin", "resale")),
        )
        for key_id, tally in sums
    )
    header = ("key", "name", "labels", "requests", "input", "output", "cost", "margin", "charge", "reseller", "resale")
    return Shown(answer, text.table(header, rows, "nothing was used"))


def ledger_list(api: Api, options: argparse.Namespace) -> Shown:
    entries: list[Any] = []
    after: str | None = options.after
    while len(entries) < options.limit:
        limit = min(PAGE, options.limit - len(entries))
        page = api.get(path("accounts", options.account, "ledger"), day=options.day, after=after, limit=limit)
        entries += page["entries"]
        after = page["next"]
        if after is None:
            break
    header = (
        "reservation",
        "outcome",
        "reason",
        "key",
        "model",
        "lane",
        "input",
        "output",
        "cost",
        "margin",
        "charge",
        "usage",
    )
    rows = (
        (
            entry["reservation_id"],
            entry["outcome"],
            entry["reason"],
            entry["key_id"],
            entry["model"],
            entry["lane"],
            entry["input_tokens"],
            entry["output_tokens"],
            text.usd(entry["cost_nano_usd"]),
            text.usd(entry["margin_nano_usd"]),
            text.usd(entry["charge_nano_usd"]),
            entry["usage_source"],
        )
        for entry in entries
    )
    total = f"{len(entries)} entries, charged {text.usd(sum(entry['charge_nano_usd'] for entry in entries))}"
    shown = text.table(header, rows, "no entries")
    notes = () if after is None else (f"there are more: --after {after}",)
    return Shown({"entries": entries, "next": after}, f"{shown}\n\n{total}" if entries else shown, notes)


def sweep(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("sweep", _json({"full": options.full}))
    return Shown(answer, text.fields(answer.items()))


def refresh(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("holdings/refresh", _json({"account_id": options.account}))
    return Shown(answer, _account(answer) if options.account else text.fields(answer.items()))


def snapshot_now(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.post("holdings/snapshot")
    holders = [(token, f"{count} holders") for token, count in (answer["holders"] or {}).items()]
    return Shown(answer, text.fields([("snapshot", answer["snapshot_id"]), *holders]))


def grant(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("accounts", options.account, "grants"), _json(_sent(options, _GRANT_FIELDS)))
    shown = [("grant", answer["grant_id"]), ("account", answer["account_id"]), ("amount", f"${answer['amount_usd']}")]
    notes = () if answer["new"] else ("This grant had been made before: nothing was added.",)
    return Shown(answer, text.fields(shown), notes)


def grant_list(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get(path("accounts", options.account, "grants"))
    balance = [(name, f"${answer[f'{name}_usd']}") for name in ("granted", "spent", "in_flight", "remaining")]
    rows = (
        (
            one["grant_id"],
            f"${one['amount_usd']}",
            text.instant(one["granted_at_unix_s"]),
            one["operator"],
            one["reason"],
        )
        for one in answer["grants"]
    )
    table = text.table(("grant", "amount", "granted", "by", "reason"), rows, "no grants")
    return Shown(answer, f"{text.fields(balance)}\n\n{table}")


def operator_create(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("operators", _json({"name": options.name}))
    shown = text.fields([("operator", answer["name"]), ("token", answer["token"])])
    return Shown(answer, shown, ("The token is shown this once: keep it now. Only its SHA-256 is stored.",))


def operator_list(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.get("operators")
    rows = ((one["name"], one["enabled"], text.instant(one["created_at_unix_s"])) for one in answer["operators"])
    return Shown(answer, text.table(("operator", "enabled", "created"), rows, "no operators"))


def operator_disable(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("operators", options.name, "disable"))
    return Shown(answer, text.fields([("operator", answer["name"]), ("enabled", answer["enabled"])]))


_ACCOUNT_FIELDS = (
    "name",
    "requests_per_day",
    "budget_usd_per_day",
    "concurrency",
    "margin_bps",
    "lanes",
    "zdr",
    "requests_per_minute",
    "requests_per_month",
    "budget_usd_per_month",
    "reseller_margin_bps",
)
_KEY_FIELDS = (
    "name",
    "models",
    "lanes",
    "requests_per_day",
    "budget_usd_per_day",
    "concurrency",
    "expires_at_unix_s",
    "reseller_margin_bps",
    "labels",
)
_GRANT_FIELDS = ("grant_id", "amount_usd", "reason", "correction", "not_after_unix_s")


def _sent(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return the options that were given; those left out are not in the namespace."""
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def _document(file: str) -> Any:
    """Return a TOML file as a document. Raises CommandError."""
    try:
        if file == "-":
            return tomllib.load(sys.stdin.buffer)
        with Path(file).open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise CommandError(USAGE, f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(USAGE, f"{file} is not TOML: it is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CommandError(USAGE, f"{file} is not TOML: {error}") from error


def _json(body: Any) -> bytes:
    """Return JSON; dates of TOML become strings, which the gateway then refuses at their place."""
    return json.dumps(body, default=str).encode()


def _account(account: Mapping[str, Any]) -> str:
    return text.fields(
        [
            ("account", account["account_id"]),
            ("name", account["name"]),
            ("requests/day", account["requests_per_day"]),
            ("budget/day", f"${account['budget_usd_per_day']}"),
            ("limits from", account["limits_from"]),
            ("concurrency", account["concurrency"]),
            ("margin", text.margin(account["margin_bps"])),
            ("lanes", ", ".join(["shared", *account["lanes"]])),
            ("zdr", account["zdr"]),
            ("requests/minute", account["requests_per_minute"]),
            ("requests/month", account["requests_per_month"]),
            ("budget/month", text.optional_usd(account["budget_usd_per_month"])),
            ("reseller margin", _bps(account["reseller_margin_bps"])),
            ("enabled", account["enabled"]),
            ("created", text.instant(account["created_at_unix_s"])),
        ]
    )


def _key_fields(key: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        ("key_id", key["key_id"]),
        ("account", key["account_id"]),
        ("name", key["name"] or None),
        ("models", ", ".join(key["models"] or ["all"])),
        ("lanes", ", ".join(key["lanes"] or ["all of its account"])),
        ("requests/day", key["requests_per_day"]),
        ("budget/day", text.optional_usd(key["budget_usd_per_day"])),
        ("concurrency", key["concurrency"]),
        ("reseller margin", _bps(key["reseller_margin_bps"])),
        ("labels", ", ".join(f"{name}={said}" for name, said in key["labels"].items()) or None),
        ("expires", text.instant(key["expires_at_unix_s"])),
        ("enabled", key["enabled"]),
    ]


def _bps(value: int | None) -> str | None:
    return None if value is None else text.margin(value)


def _unknown_models(key: Mapping[str, Any]) -> tuple[str, ...]:
    unknown = key["unknown_models"]
    return (f"The catalogue does not sell {', '.join(unknown)} (yet).",) if unknown else ()

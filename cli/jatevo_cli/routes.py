"""The `jatevo admin` commands of routes and of the audit trail."""

import argparse
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from jatevo_cli import text
from jatevo_cli.api import Api, path
from jatevo_cli.commands import Shown

_ASKED = {
    "closed": "well",
    "open": "resting",
    "half_open": "to be probed",
    "drained": "drained",
}
_QUESTION = ("lane", "key_id", "input_bytes", "output_tokens", "images", "prompt_cache_key", "zdr", "fields")


def show(api: Api, options: argparse.Namespace) -> Shown:
    if not hasattr(options, "model"):
        return _glance(api.get("routes"))
    asked = {name: getattr(options, name) for name in _QUESTION if hasattr(options, name)}
    return _decision(api.post("routes/decide", json.dumps({"model": options.model, **asked}).encode()))


def drain(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("pools", options.pool, "drain"))
    note = "Requests under way end; new ones go elsewhere within seconds."
    return Shown(answer, text.fields([("pool", answer["pool"]), ("drained by", answer["drained_by"])]), (note,))


def undrain(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("pools", options.pool, "undrain"))
    return Shown(answer, text.fields([("pool", answer["pool"]), ("breaker", answer["breaker"])]))


def audit(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get("audit", month=options.month, limit=options.limit)
    rows = (
        (_moment(change["at_unix_ms"]), change["operator"], change["action"], change["subject"], _changed(change))
        for change in answer["changes"]
    )
    return Shown(answer, text.table(("when", "operator", "action", "subject", "what"), rows, "no changes"))


def _glance(answer: Mapping[str, Any]) -> Shown:
    rows = (
        (
            route["model"],
            route["pool"],
            f"{route['priority']}/{route['weight']}",
            _ASKED[route["asked"]],
            _since(route),
            ", ".join(_lane(lane) for lane in route["lanes"]) or "none",
        )
        for route in answer["routes"]
    )
    header = ("model", "pool", "priority/weight", "health", "", "lanes (of their own)")
    return Shown(answer, text.table(header, rows, "no routes"))


def _decision(answer: Mapping[str, Any]) -> Shown:
    if answer["refusal"] is not None:
        return Shown(answer, text.fields([("refused", answer["refusal"]["code"]), ("", answer["refusal"]["detail"])]))
    rows = (
        (
            lane["lane"],
            lane["model"],
            route["place"],
            route["pool"],
            route["standing"],
            f"{route['priority']}/{route['weight']}",
            f"{route['score']:.4f}",
        )
        for lane in answer["lanes"]
        for route in lane["routes"]
    )
    header = ("lane", "model", "place", "pool", "standing", "priority/weight", "score")
    return Shown(answer, text.table(header, rows, "no routes"), ("Lanes are tried from above; least score first.",))


def _since(route: Mapping[str, Any]) -> str:
    if route["drained_by"] is not None:
        return f"by {route['drained_by']}, {text.instant(route['drained_at_unix_s'])}"
    if route["asked"] == "closed":
        return ""
    return f"since {text.instant(route['changed_at_unix_s'])}, {route['opened_in_a_row']} in a row"


def _lane(lane: Mapping[str, Any]) -> str:
    return f"{lane['lane']} ({lane['guaranteed']})" if lane["guaranteed"] else lane["lane"]


def _changed(change: Mapping[str, Any]) -> str:
    before, after = change["before"] or {}, change["after"] or {}
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    shown = [f"{name} {_short(before.get(name))} → {_short(after.get(name))}" for name in names if name != "version"]
    return "created" if change["before"] is None else "; ".join(shown)


def _short(value: object) -> str:
    shown = "-" if value is None else str(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _moment(unix_ms: int) -> str:
    return dt.datetime.fromtimestamp(unix_ms / 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")

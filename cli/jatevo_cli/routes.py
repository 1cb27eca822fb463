"""The `jatevo admin` commands of routes and of the audit trail."""

import argparse
import datetime as dt
import json
from collections.abc import Iterator, Mapping
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


def lanes(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.get("lanes")
    rows = (
        (
            lane["lane"],
            text.margin(lane["margin_bps"]),
            ", ".join(lane["models"]) or "none",
            ", ".join(lane["pools"]) or "none",
            ", ".join(_places(places) for places in lane["places"]) or "not counted",
            "-" if lane["today"] is None else ", ".join(_left(lane["today"])),
        )
        for lane in answer["lanes"]
    )
    header = ("lane", "margin", "models", "pools", "places taken", "of its own limits today")
    return Shown(answer, text.table(header, rows, "no lanes"))


def drain(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("pools", options.pool, "drain"))
    note = "Requests under way end; new ones go elsewhere within seconds."
    return Shown(answer, text.fields([("pool", answer["pool"]), ("drained by", answer["drained_by"])]), (note,))


def undrain(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("pools", options.pool, "undrain"))
    return Shown(answer, text.fields([("pool", answer["pool"]), ("breaker", answer["breaker"])]))


def changes(api: Api, options: argparse.Namespace) -> Shown:
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
    shown = text.table(header, rows, "no routes")
    unfit = [(lane["lane"], one["pool"], one["why"]) for lane in answer["lanes"] for one in lane["left_out"]]
    if unfit:
        shown = f"{shown}\n\n{text.table(('lane', 'not there', 'because'), unfit, '')}"
    return Shown(answer, shown, ("Lanes are tried from above; least score first.",))


def _since(route: Mapping[str, Any]) -> str:
    if route["drained_by"] is not None:
        return f"by {route['drained_by']}, {text.instant(route['drained_at_unix_s'])}"
    if route["asked"] == "closed":
        return ""
    return f"since {text.instant(route['changed_at_unix_s'])}, {route['opened_in_a_row']} in a row"


def _lane(lane: Mapping[str, Any]) -> str:
    return f"{lane['lane']} ({lane['guaranteed']})" if lane["guaranteed"] else lane["lane"]


def _places(places: Mapping[str, Any]) -> str:
    return f"{places['taken']} of {places['size']} {'own' if places['own'] else 'shared'} in {places['pool']}"


def _left(today: Mapping[str, Any]) -> Iterator[str]:
    if today["requests_limit"] is not None:
        yield f"{today['requests_left']} of {today['requests_limit']} requests left"
    if today["budget_limit_usd"] is not None:
        yield f"${today['budget_left_usd']} of ${today['budget_limit_usd']} left"
    if today["concurrency_limit"] is not None:
        yield f"{today['in_flight']} of {today['concurrency_limit']} at once"


def _changed(change: Mapping[str, Any]) -> str:
    if change["unclear"]:
        asked = "; ".join(f"{name} {_short(value)}" for name, value in sorted(change["asked"].items()))
        return f"unclear whether it was made; asked for: {asked or change['action']}"
    before, after = change["before"] or {}, change["after"] or {}
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    shown = [f"{name} {_short(before.get(name))} → {_short(after.get(name))}" for name in names if name != "version"]
    return "created" if change["before"] is None else "; ".join(shown)


def _short(value: object) -> str:
    shown = "-" if value is None else str(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _moment(unix_ms: int) -> str:
    return dt.datetime.fromtimestamp(unix_ms / 1000, tz=dt.UTC).strftime("%Y-%m-%d %H:%M:%S")

"""`jatevo admin service`, `stop`, `resume` and `ceiling`: the service as a whole."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from jatevo_cli import text
from jatevo_cli.api import Api
from jatevo_cli.commands import Shown


def show(api: Api, _options: argparse.Namespace) -> Shown:
    return _shown(api.get("service"))


def stop(api: Api, options: argparse.Namespace) -> Shown:
    return _shown(api.post("service/stop", _body(reason=options.reason)))


def resume(api: Api, options: argparse.Namespace) -> Shown:
    return _shown(api.post("service/resume", _body(reason=options.reason)))


def ceiling(api: Api, options: argparse.Namespace) -> Shown:
    return _shown(api.put("service/ceiling", _body(usd=options.usd, reason=options.reason)))


def _shown(answer: Mapping[str, Any]) -> Shown:
    if answer["taking_requests"]:
        state = "yes"
    else:
        until = answer["until_unix_s"]
        end = "until it is resumed" if until is None else f"until {text.instant(until)}"
        since = text.instant(answer["stopped_at_unix_s"])
        state = f"no, {end}: stopped by {answer['stopped_by']} at {since}, {answer['stopped_because']!r}"
    limit = answer["ceiling_usd"]
    spent = f"${answer['spent_today_usd']}"
    if limit is not None:
        spent += f", {answer['percent_of_ceiling']}% of the ceiling of ${limit}"
    return Shown(answer, text.fields([("takes requests", state), ("spent today", spent)]))


def _body(**values: str | None) -> bytes:
    return json.dumps(values).encode()

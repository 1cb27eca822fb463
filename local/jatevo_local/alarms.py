"""
The alarms of template.yaml, evaluated on this machine by what its processes have measured.

They are read from the template and judged as CloudWatch does: the last periods, a statistic of each, how many of them
breach the threshold, and what a period without any value counts for. Names of the stack and of resources are filled in.
Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

import argparse
import json
import operator
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from jatevo_local.engine import PROJECT
from jatevo_local.measured import Points, Tail
from jatevo_local.tables import PREFIX

TEMPLATE = PROJECT / "template.yaml"
_STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "Average": lambda values: sum(values) / len(values),
    "SampleCount": len,
}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


_SIGNS = {
    "GreaterThanOrEqualToThreshold": "≥ ",
    "GreaterThanThreshold": "> ",
    "LessThanThreshold": "< ",
    "LessThanOrEqualToThreshold": "≤ ",
}


class State(StrEnum):
    """What CloudWatch calls them."""

    OK = "OK"
    ALARM = "ALARM"
    NO_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `missing`: what a period without a value counts for, in CloudWatch's word."""

    name: str
    description: str
    namespace: str
    metric: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str
    period_s: int
    periods: int
    to_alarm: int
    threshold: float
    comparison: str
    missing: str

    @property
    def runbook(self) -> str:
        """The section of docs/runbook.md that the description points to."""
        return self.description.rpartition("#")[2].strip()


@dataclass(frozen=True, slots=True)
class Judged:
    """An alarm and how it stands. `values`: the statistic of each period, the latest first; None where none came."""

    alarm: Alarm
    state: State
    values: tuple[float | None, ...]


def alarms_in(path: Path = TEMPLATE, stack: str = PREFIX) -> list[Alarm]:
    """Return the alarms of a template, in their order there."""
    template = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader that also knows CloudFormation's tags
    values = {name: one.get("Default", "") for name, one in template["Parameters"].items()} | {"AWS::StackName": stack}
    resources = template["Resources"].items()
    return [_alarm(name, one, values) for name, one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]


def judged(alarms: Iterable[Alarm], points: Iterable[Points], now_ms: int) -> list[Judged]:
    """Return how alarms stand at an instant."""
    series: dict[tuple[str, str, frozenset[tuple[str, str]]], list[Points]] = {}
    for one in points:
        series.setdefault((one.namespace, one.name, one.dimensions), []).append(one)
    return [
        _judged(alarm, series.get((alarm.namespace, alarm.metric, alarm.dimensions), []), now_ms) for alarm in alarms
    ]


def judged_here(folder: Path, now_ms: int, template: Path = TEMPLATE) -> list[Judged]:
    """Return how the template's alarms stand by what the processes of a local stack have written."""
    return judged(alarms_in(template), Tail(folder).points(), now_ms)


def _judged(alarm: Alarm, points: Sequence[Points], now_ms: int) -> Judged:
    values = tuple(_in_period(alarm, points, now_ms, back) for back in range(alarm.periods))
    breaches = _COMPARISONS[alarm.comparison]
    counted = [breaches(value, alarm.threshold) for value in values if value is not None]
    without = len(values) - len(counted)
    if alarm.missing == "breaching":
        counted += [True] * without
    elif alarm.missing == "notBreaching":
        counted += [False] * without
    if not counted:
        return Judged(alarm, State.NO_DATA, values)
    return Judged(alarm, State.ALARM if sum(counted) >= alarm.to_alarm else State.OK, values)


def _in_period(alarm: Alarm, points: Sequence[Points], now_ms: int, back: int) -> float | None:
    end = now_ms - back * alarm.period_s * 1000
    begin = end - alarm.period_s * 1000
    found = [value for one in points if begin < one.at_ms <= end for value in one.values]
    return _STATISTICS[alarm.statistic](found) if found else None


def _alarm(name: str, resource: Mapping[str, Any], values: Mapping[str, Any]) -> Alarm:
    own = resource["Properties"]
    periods = int(own["EvaluationPeriods"])
    return Alarm(
        name=name,
        description=str(_resolved(own["AlarmDescription"], values)),
        namespace=own["Namespace"],
        metric=own["MetricName"],
        dimensions=frozenset((one["Name"], str(_resolved(one["Value"], values))) for one in own.get("Dimensions", ())),
        statistic=own["Statistic"],
        period_s=int(own["Period"]),
        periods=periods,
        to_alarm=int(own.get("DatapointsToAlarm", periods)),
        threshold=float(_resolved(own["Threshold"], values)),
        comparison=own["ComparisonOperator"],
        missing=own.get("TreatMissingData", "missing"),
    )


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # yaml carries no types
    """Reads CloudFormation's short forms as the long ones."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {"Ref" if tag == "Ref" else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def _resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """Fill in names: of the stack and of parameters by their values, of resources by their names in the template."""
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return values.get(value["Ref"], value["Ref"])
    if "Fn::GetAtt" in value:
        return str(value["Fn::GetAtt"]).partition(".")[0]
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(values.get(found[1], found[1])), value["Fn::Sub"])


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `jatevo alarms` takes."""
    parser.description = "Say which alarms of template.yaml hold now, by what a gateway on this machine has measured."
    here = Path(os.environ.get("DATA", ".local"))
    parser.add_argument("--data", type=Path, default=here, help="the data of `make run` (default $DATA, else .local)")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="default: this version's own")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(options: argparse.Namespace) -> int:
    """Print how alarms stand. Returns 1 when one of them is in alarm."""
    found = judged_here(options.data / "metrics", time.time_ns() // 1_000_000, options.template)
    if options.json:
        told = [{"alarm": one.alarm.name, "state": one.state, "values": one.values} for one in found]
        print(json.dumps(told, indent=2))
    else:
        for one in sorted(found, key=lambda one: one.state is not State.ALARM):
            print(_line(one))
    return int(any(one.state is State.ALARM for one in found))


def _line(one: Judged) -> str:
    alarm, latest = one.alarm, one.values[0]
    value = "nothing" if latest is None else f"{latest:g}"
    breach = _SIGNS[alarm.comparison] + f"{alarm.threshold:g}"
    return (
        f"{one.state:17}  {alarm.name:22}  {alarm.statistic} of {alarm.metric} in {alarm.period_s} s: {value}"
        f" (alarm: {breach}, {alarm.to_alarm} of {alarm.periods})"
        + (f"  → docs/runbook.md#{alarm.runbook}" if one.state is State.ALARM else "")
    )

"""
Metrics as CloudWatch reads them out of a log: the embedded metric format, one JSON object a line.

Every metric is of a deployment (`Stack`), and of nothing else or one label beside it. Values of one flush go out
together: amounts summed, measurements each by itself, of gauges the last.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from jatevo.application.ports import Clock
from jatevo.domain.metrics import Kind, Metric

NAMESPACE = "Jatevo"
STACK = "Stack"
_MOST_VALUES = 100
"""Of one metric in one line."""
_MOST_PENDING = 10_000
_MOST_HEADS = 1000

type Write = Callable[[str], object]


class EmfMeter:
    """Gathers values, from any thread, and writes them when flushed."""

    def __init__(self, stack: str, clock: Clock, write: Write) -> None:
        self._stack = stack
        self._clock = clock
        self._write = write
        self._pending: deque[tuple[Metric, int, str]] = deque(maxlen=_MOST_PENDING)
        self._heads: dict[tuple[str, tuple[str, ...]], str] = {}

    def add(self, metric: Metric, value: int = 1, label: str = "") -> None:
        self._pending.append((metric, value, label))

    def flush(self) -> None:
        groups: dict[str, dict[Metric, list[int]]] = {}
        pending = self._pending
        while pending:
            metric, value, label = pending.popleft()
            # Metrics with different labels never meet: a label's values are told apart by its name.
            name = f"{metric.label}={label}" if label else ""
            group = groups.get(name)
            if group is None:
                group = groups[name] = {}
            values = group.get(metric)
            if values is None:
                group[metric] = [value]
            elif metric.kind is Kind.GAUGE:
                values[0] = value
            elif metric.kind is Kind.COUNTER:
                values[0] += value
            elif len(values) < _MOST_VALUES:
                values.append(value)
        for name, group in groups.items():
            self._write(self._line(name, group))

    def _line(self, name: str, group: Mapping[Metric, list[int]]) -> str:
        """Return one line. What only depends on which metrics are in it is made once: most lines are alike."""
        key = (name, tuple([metric.name for metric in group]))
        head = self._heads.get(key)
        if head is None:
            label, _, value = name.partition("=")
            sets = [{STACK: self._stack}, *([{STACK: self._stack, label: value}] if label else ())]
            head = emf_head(NAMESPACE, sets, {metric.name: metric.unit.value for metric in group})
            if len(self._heads) < _MOST_HEADS:
                self._heads[key] = head
        told = "".join(
            f',"{metric.name}":{values[0] if len(values) == 1 else values}' for metric, values in group.items()
        )
        return f'{{"_aws":{{"Timestamp":{self._clock.now_ms()},{head}{told}}}'


def emf_line(namespace: str, dimensions: Mapping[str, str], values: Mapping[str, tuple[str, int]], at_ms: int) -> str:
    """Return one line of one series each. `values`: by metric, its unit and its value."""
    head = emf_head(namespace, [dimensions], {name: unit for name, (unit, _) in values.items()})
    told = "".join(f',"{name}":{value}' for name, (_, value) in values.items())
    return f'{{"_aws":{{"Timestamp":{at_ms},{head}{told}}}'


def emf_head(namespace: str, sets: Sequence[Mapping[str, str]], units: Mapping[str, str]) -> str:
    """Return what a line says before its values. `sets`: dimensions, each set a series of its own."""
    members: dict[str, str] = {}
    for one in sets:
        members |= one
    directive = {
        "Namespace": namespace,
        "Dimensions": [list(one) for one in sets],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
    }
    directives = json.dumps([directive], separators=(",", ":"))
    return f'"CloudWatchMetrics":{directives}}},{json.dumps(members, separators=(",", ":"))[1:-1]}'

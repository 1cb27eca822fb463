"""
The metrics of the local stack as Prometheus reads them: text, version 0.0.4.

They are those of `jatevo.domain.metrics`, added up from what the stack's processes have written since this process
started to look. Only operators see them, because pools show by name: `GET /admin/v1/metrics`, with an operator's token.
"""

import re
import threading
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from jatevo.adapters.telemetry.emf import NAMESPACE, STACK
from jatevo.domain.metrics import METRICS, Kind, Metric
from jatevo_local.measured import Points, Tail

BUCKETS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000)
"""Upper bounds of a distribution's buckets, in milliseconds."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

type Series = dict[tuple[Metric, str], list[float]]


class Exposition:
    """Adds up what is written into a folder, and shows it."""

    def __init__(self, folder: Path) -> None:
        self._tail = Tail(folder)
        self._known = {metric.name: metric for metric in METRICS}
        self._sums: Series = {}
        self._buckets: dict[tuple[Metric, str], list[int]] = {}
        self._lock = threading.Lock()

    def text(self) -> str:
        """Return all metrics that have a value, as they are now."""
        with self._lock:
            for points in self._tail.points():
                self._take(points)
            return "".join(f"{line}\n" for metric in METRICS for line in self._shown(metric))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scraper, as an ASGI app."""
        await Response(self.text(), media_type=CONTENT_TYPE)(scope, receive, send)

    def _take(self, points: Points) -> None:
        metric = self._known.get(points.name)
        labels = dict(points.dimensions)
        labels.pop(STACK, None)
        if metric is None or points.namespace != NAMESPACE or bool(metric.label) != bool(labels):
            return  # what is broken down is shown by its parts, whose sum is the whole
        key = (metric, labels.get(metric.label, ""))
        if metric.kind is Kind.GAUGE:
            self._sums[key] = [points.values[-1]]
            return
        found = self._sums.setdefault(key, [0.0, 0.0])
        found[0] += sum(points.values)
        found[1] += len(points.values)
        if metric.kind is Kind.DISTRIBUTION:
            buckets = self._buckets.setdefault(key, [0] * (len(BUCKETS) + 1))
            for value in points.values:
                buckets[bisect_left(BUCKETS, value)] += 1

    def _shown(self, metric: Metric) -> Iterator[str]:
        series = {label: found for (one, label), found in self._sums.items() if one is metric}
        if not series:
            return
        name = prometheus_name(metric)
        kind = {Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.DISTRIBUTION: "histogram"}[metric.kind]
        yield f"# HELP {name} {metric.help}"
        yield f"# TYPE {name} {kind}"
        for label, found in sorted(series.items()):
            told = f'{{{metric.label.lower()}="{_escaped(label)}"}}' if metric.label else ""
            if metric.kind is Kind.DISTRIBUTION:
                yield from self._histogram(name, metric, label)
                yield f"{name}_sum {_number(found[0])}"
                yield f"{name}_count {_number(found[1])}"
            else:
                yield f"{name}{told} {_number(found[0])}"

    def _histogram(self, name: str, metric: Metric, label: str) -> Iterator[str]:
        total = 0
        for bound, count in zip((*BUCKETS, "+Inf"), self._buckets[metric, label], strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'


def prometheus_name(metric: Metric) -> str:
    """Return a metric's name as Prometheus has names: `jatevo_charge_nano_usd_total`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric.name).lower()
    return f"jatevo_{snake}{'_total' if metric.kind is Kind.COUNTER else ''}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

"""What the local stack shows to scrapers, read by Prometheus's own parser."""

import json
from pathlib import Path

from jatevo_testing.clocks import ManualClock
from prometheus_client.parser import text_string_to_metric_families

from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines
from jatevo.domain import metrics
from jatevo.domain.metrics import METRICS, Kind
from jatevo_local.exposition import Exposition, prometheus_name


def _samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_all_processes_add_up_and_each_kind_is_what_prometheus_calls_it(tmp_path: Path) -> None:
    shown = Exposition(tmp_path)
    for process in ("gateway", "jobs"):
        meter = EmfMeter("jatevo", ManualClock(), FileLines(tmp_path / f"{process}.jsonl"))
        meter.add(metrics.CHARGE, 55_000)
        meter.add(metrics.REFUSED, label="budget_exhausted")
        meter.add(metrics.REFUSED, label='a "code" \\ with\nall')
        meter.add(metrics.FIRST_TOKEN, 80)
        meter.add(metrics.FIRST_TOKEN, 700_000)
        meter.add(metrics.PAUSED, 1)
        meter.flush()
    found = _samples(shown.text())
    assert found["jatevo_charge_nano_usd_total"] == {(): 110_000}
    assert found["jatevo_refused_total"] == {("budget_exhausted",): 2, ('a "code" \\ with\nall',): 2}
    assert found["jatevo_paused"] == {(): 1}
    buckets = found["jatevo_first_token_ms_bucket"]
    assert (buckets["50",], buckets["100",], buckets["300000",], buckets["+Inf",]) == (0, 2, 2, 4)
    assert (found["jatevo_first_token_ms_count"], found["jatevo_first_token_ms_sum"]) == ({(): 4}, {(): 1_400_160})
    assert _samples(shown.text()) == found, "a second scrape finds the same"


def test_every_metric_has_a_name_that_prometheus_takes(tmp_path: Path) -> None:
    meter = EmfMeter("jatevo", ManualClock(), FileLines(tmp_path / "gateway.jsonl"))
    for metric in METRICS:
        meter.add(metric, 1, label="x" if metric.label else "")
    meter.flush()
    parsed = {family.name: family.type for family in text_string_to_metric_families(Exposition(tmp_path).text())}
    kinds = {Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.DISTRIBUTION: "histogram"}
    assert parsed == {prometheus_name(one).removesuffix("_total"): kinds[one.kind] for one in METRICS}
    assert json.loads((tmp_path / "gateway.jsonl").read_text().splitlines()[0])["Stack"] == "jatevo"

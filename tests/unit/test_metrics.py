"""Metrics as they are written, and that their documentation names each of them."""

import json
import re
from pathlib import Path

import pytest
from jatevo_testing.clocks import ManualClock

from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines
from jatevo.domain import metrics
from jatevo.domain.metrics import METRICS


def test_every_metric_has_a_name_of_its_own_and_stands_in_the_documentation() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    table = (Path(__file__).parents[2] / "docs/metrics.md").read_text().partition("## Metrics")[2]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    documented = re.findall(r"`(\w+)`", " ".join(row.partition(", by ")[0] for row in rows))
    assert documented == sorted(documented, key=documented.index)
    assert set(documented) == set(names)


def test_one_flush_adds_amounts_up_keeps_measurements_apart_and_the_last_of_what_holds() -> None:
    written: list[str] = []
    meter = EmfMeter("test", ManualClock(), written.append)
    for value in (3, 4):
        meter.add(metrics.CHARGE, value)
        meter.add(metrics.FIRST_TOKEN, value)
        meter.add(metrics.PAUSED, value)
        meter.add(metrics.REFUSED, label=f"code-{value}")
    meter.flush()
    plain, *labelled = map(json.loads, written)
    assert (plain["ChargeNanoUsd"], plain["FirstTokenMs"], plain["Paused"]) == (7, [3, 4], 4)
    [directive] = plain["_aws"]["CloudWatchMetrics"]
    units = {one["Name"]: one["Unit"] for one in directive["Metrics"]}
    assert units == {"ChargeNanoUsd": "None", "FirstTokenMs": "Milliseconds", "Paused": "Count"}
    assert [line["Reason"] for line in labelled] == ["code-3", "code-4"]
    assert all(
        line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"], ["Stack", "Reason"]] for line in labelled
    )
    meter.flush()
    assert len(written) == 3, "what was written is not written again"


@pytest.mark.parametrize("label", ['a"b', "ü", "a=b", "a\nb"])
def test_a_label_may_be_any_text(label: str) -> None:
    written: list[str] = []
    meter = EmfMeter("test", ManualClock(), written.append)
    meter.add(metrics.UPSTREAM_FAILURES, label=label)
    meter.flush()
    assert json.loads(written[0])["Pool"] == label
    assert "\n" not in written[0]


def test_a_file_that_is_full_is_put_aside_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    write = FileLines(tmp_path / "lines", largest=100)
    for number in range(12):
        write(f"line {number:04}")
    kept = (tmp_path / "lines.1").read_text() + (tmp_path / "lines").read_text()
    assert kept.splitlines() == [f"line {number:04}" for number in range(12)]

"""The alarms of the template, judged on one machine: each can be reached, and leads to its section of the runbook."""

import re
from pathlib import Path

import pytest
from jatevo_testing.clocks import ManualClock

from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.lines import FileLines
from jatevo.domain.metrics import METRICS
from jatevo_cli.main import main
from jatevo_local.alarms import Alarm, State, alarms_in, judged, judged_here
from jatevo_local.measured import InPlaceOfAws, Points, Tail
from jatevo_local.tables import PREFIX

RUNBOOK = Path(__file__).parents[2] / "docs/runbook.md"
ALARMS = {alarm.name: alarm for alarm in alarms_in()}
OWN = {metric.name: metric for metric in METRICS}
NOW_MS = ManualClock().now_ms()
ONLY_ON_AWS = {"ThrottlesAlarm"}
"""Nothing on one machine stands in for what these are about."""


def test_every_alarm_leads_to_a_section_that_names_it_and_every_section_has_an_alarm() -> None:
    sections = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL))
    assert {alarm.runbook for alarm in ALARMS.values()} == sections.keys()
    for alarm in ALARMS.values():
        assert f"`{alarm.name}`" in sections[alarm.runbook]
    for text in sections.values():
        assert all(f"**{part}" in text for part in ("Alarm", "Means**", "Look at**", "Do**", "Over when**"))


def test_every_alarm_on_our_own_metrics_is_on_one_that_there_is() -> None:
    for alarm in ALARMS.values():
        if alarm.namespace == "Jatevo":
            assert alarm.metric in OWN
            assert alarm.dimensions == {("Stack", PREFIX)}


def points_of(alarm: Alarm, value: float, *, periods: int | None = None) -> list[Points]:
    """Return one value in each of the last periods."""
    return [
        Points(alarm.namespace, alarm.metric, alarm.dimensions, NOW_MS - back * alarm.period_s * 1000 - 1, (value,))
        for back in range(alarm.periods if periods is None else periods)
    ]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_holds_exactly_while_its_condition_does(name: str) -> None:
    alarm = ALARMS[name]
    if alarm.statistic == "SampleCount":
        assert judged([alarm], [], NOW_MS)[0].state is State.ALARM
        assert judged([alarm], points_of(alarm, 0), NOW_MS)[0].state is State.OK
        return
    too_much = alarm.threshold + 1 if alarm.threshold >= 1 else alarm.threshold * 2
    assert judged([alarm], points_of(alarm, too_much), NOW_MS)[0].state is State.ALARM
    assert judged([alarm], points_of(alarm, 0), NOW_MS)[0].state is State.OK
    assert judged([alarm], points_of(alarm, too_much), NOW_MS + 86_400_000)[0].state is (
        State.ALARM if alarm.missing == "breaching" else State.OK
    )
    if alarm.to_alarm > 1:
        few = points_of(alarm, too_much, periods=alarm.to_alarm - 1)
        calm = points_of(alarm, 0)[alarm.to_alarm - 1 :]
        assert judged([alarm], few + calm, NOW_MS)[0].state is State.OK
    elsewhere = [
        Points(alarm.namespace, alarm.metric, frozenset({("Stack", "another")}), one.at_ms, one.values)
        for one in points_of(alarm, too_much)
    ]
    assert judged([alarm], elsewhere, NOW_MS)[0].state is not State.ALARM or alarm.missing == "breaching"


@pytest.mark.parametrize("name", sorted(set(ALARMS) - ONLY_ON_AWS - {"SweeperSilentAlarm"}))
def test_what_the_processes_write_themselves_reaches_the_alarm(name: str, tmp_path: Path) -> None:
    """From a value told to the port, over the very lines that CloudWatch would read, to the alarm's name."""
    alarm, clock = ALARMS[name], ManualClock()
    meter = EmfMeter(PREFIX, clock, FileLines(tmp_path / "gateway.jsonl"))
    aws = InPlaceOfAws(tmp_path / "aws-gateway.jsonl")
    for _ in range(alarm.periods):
        for metric in METRICS:
            meter.add(metric, 0)
        if alarm.metric in OWN:
            meter.add(OWN[alarm.metric], int(alarm.threshold) + 1, label="x" if OWN[alarm.metric].label else "")
        aws.answered(503 if alarm.metric == "5XXError" else 200, clock.now_ms())
        queue = dict(alarm.dimensions).get("QueueName", "")
        aws.dead_letters(queue, 1, clock.now_ms())
        meter.flush()
        clock.advance(alarm.period_s)
    clock.advance(-1)
    states = {one.alarm.name: one.state for one in judged_here(tmp_path, clock.now_ms())}
    assert states[name] is State.ALARM
    others = {other for other, state in states.items() if state is State.ALARM} - {name}
    same = {other for other in ALARMS if ALARMS[other].metric == alarm.metric}
    assert others <= same | {"PriceStaleAlarm", "SweeperSilentAlarm"}


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    meter = EmfMeter(PREFIX, ManualClock(), (lines := list[str]()).append)
    meter.add(OWN["Accepted"])
    meter.flush()
    path, tail = tmp_path / "x.jsonl", Tail(tmp_path)
    path.write_text(lines[0][:20])
    assert list(tail.points()) == []
    with path.open("a") as file:
        file.write(lines[0][20:] + "\n")
    assert [one.name for one in tail.points()] == ["Accepted"]
    assert list(tail.points()) == []


def test_the_command_names_what_holds_and_where_to_read_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics").mkdir()
    assert main(["alarms", "--data", str(tmp_path)]) == 1, (
        "nothing runs there: the sweeper is silent, and there is no price"
    )
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("ALARM")
    assert any("SweeperSilentAlarm" in line and "docs/runbook.md#sweeper-silent" in line for line in told)

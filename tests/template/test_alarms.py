"""What watches a deployment: alarms that somebody hears of, and a dashboard of metrics that there are."""

import json
import re
from typing import Any

from jatevo.domain.metrics import METRICS

AWS = {"AWS/ApiGateway", "AWS/Lambda", "AWS/SQS"}
NAMES = {metric.name for metric in METRICS}


def of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def test_every_alarm_is_heard_of_when_it_begins_and_when_it_is_over(template: dict[str, Any]) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert len(alarms) >= 15
    topic = [{"Ref": "AlarmTopic"}]
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        assert (properties["AlarmActions"], properties["OKActions"]) == (topic, topic), name
        assert "${RunbookUrl}#" in properties["AlarmDescription"]["Fn::Sub"], name
        assert alarm["Condition"] == "HasAlarms", name
        assert properties["Namespace"] in {"Jatevo", *AWS}


def test_watching_can_be_turned_off_and_mails_nobody_unless_told_to(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert (parameters["Alarms"]["Default"], parameters["AlarmEmail"]["Default"]) == ("on", "")
    assert template["Resources"]["AlarmEmailSubscription"]["Condition"] == "HasAlarmEmail"
    for kind in ("AWS::SNS::Topic", "AWS::CloudWatch::Dashboard"):
        assert all(one["Condition"] == "HasAlarms" for one in of_type(template, kind).values())


def test_the_dashboard_shows_metrics_that_there_are_each_in_a_place_of_its_own(template: dict[str, Any]) -> None:
    [dashboard] = of_type(template, "AWS::CloudWatch::Dashboard").values()
    body = dashboard["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[^}]+\}", "x", body))["widgets"]
    places = {(one["x"], one["y"]) for one in widgets}
    assert len(places) == len(widgets)
    shown = set()
    for widget in widgets:
        for metric in widget["properties"]["metrics"]:
            if isinstance(metric[0], str):
                assert metric[0] in {"Jatevo", *AWS}
                shown |= {metric[1]} if metric[0] == "Jatevo" else set()
            else:
                shown |= set(re.findall(r'MetricName="(\w+)"', metric[0]["expression"]))
    assert shown <= NAMES
    assert NAMES - shown <= {"ServerErrors", "DaySpendNanoUsd", "SweepFailures"}, "what is measured is looked at"


def test_the_ceiling_is_off_by_default(template: dict[str, Any]) -> None:
    assert template["Parameters"]["DayCeilingUsd"]["Default"] == "0.00"

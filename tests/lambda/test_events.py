"""Every sample event, answered by the built function under AWS's own emulator and, where it is theirs, loop."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.rie import under_rie

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.domain.calendar import utc_day
from jatevo_local import built
from jatevo_local.built import BuiltRoute
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((PROJECT / "events").glob("*.json"))}
ANSWERS = {
    "chat": (401, "invalid_api_key"),
    "chat-stream": (401, "invalid_api_key"),
    "responses-stream": (401, "invalid_api_key"),
    "responses-input-tokens": (401, "invalid_api_key"),
    "responses-compact": (401, "invalid_api_key"),
    "messages": (401, "invalid_api_key"),
    "messages-count-tokens": (401, "invalid_api_key"),
    "codex-responses": (401, "invalid_api_key"),
    "codex-compact": (401, "invalid_api_key"),
    "codex-models": (401, "invalid_api_key"),
    "stored-response": (401, "invalid_api_key"),
    "playground-chat": (404, "not_found"),
    "budget": (401, "invalid_session"),
    "pricing": (200, None),
    "models": (401, "invalid_api_key"),
    "model": (401, "invalid_api_key"),
    "usage": (401, "invalid_api_key"),
    "challenge": (200, None),
    "admin-create-account": (401, "invalid_admin_token"),
    "health": (200, None),
    "front": (200, None),
    "not-found": (404, "not_found"),
}
UNREAD = {"PriceOracleFunction", "HoldingsRefreshFunction", "ReconciliationFunction"}
"""Those whose work does not depend on the event."""
SCHEDULED = UNREAD | {"HoldingsSnapshotFunction", "ReservationSweeperFunction"}
HTTP_REFUSALS = {"MalformedEvent", "Runtime.MalformedEvent", "Runtime.UnsupportedEvent"}
OPERATOR_TOKEN = "a-token-of-thirty-characters-xx"


@pytest.fixture
def environment(dynoxide: str, tables: TableNames) -> dict[str, str]:
    return {
        **AWS_ENVIRONMENT,
        "JATEVO_DYNAMODB_ENDPOINT": dynoxide,
        "JATEVO_TABLE_PREFIX": tables.windows.removesuffix("-windows"),
        "JATEVO_OPERATOR_TOKEN": OPERATOR_TOKEN,
        "JATEVO_PUBLIC_URL": "https://abcdef1234.execute-api.us-east-1.amazonaws.com/prod",
        "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9",  # nobody is there
    }


def function_of(event: dict[str, Any]) -> str:
    [route] = [route for route in built.routes() if route.resource == event["resource"]]
    return route.function


@pytest.mark.parametrize("name", ANSWERS)
def test_an_event_of_the_api_gets_an_answer_in_our_shape(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    event = EVENTS[name]
    with under_rie(built.functions()[function_of(event)], environment, tmp_path) as lambda_:
        cold, warm = lambda_.invoke(event), lambda_.invoke(event)
    status, code = ANSWERS[name]
    for answer in (cold, warm):
        assert answer["statusCode"] == status, (answer, logs(tmp_path))
        assert answer["isBase64Encoded"] is False
        if name == "front":
            assert answer["body"].startswith("<!doctype html>")
            continue
        body = json.loads(answer["body"])
        assert (body["error"]["code"] if code else None) == code


@pytest.mark.parametrize("name", ["sweep", "sweep-full"])
def test_the_schedules_event_sweeps(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    with under_rie(built.functions()["ReservationSweeperFunction"], environment, tmp_path) as lambda_:
        assert lambda_.invoke(EVENTS[name]) == {"windows": 0, "expired": 0, "applied": 0, "failed": 0}


def test_the_oracles_event_is_a_run(environment: dict[str, str], tmp_path: Path) -> None:
    settings = {"JATEVO_PRICE_SOURCES": ""}
    with under_rie(built.functions()["PriceOracleFunction"], environment | settings, tmp_path) as lambda_:
        report = lambda_.invoke(EVENTS["price-oracle"])
    assert report == {"reason": "kept_silence", "state": "stale", "price_pico_usd": None} | {
        "agreed": 0,
        "asked": 0,
        "age_s": None,
    }


def test_the_reconciliations_event_audits_a_day_that_is_over(environment: dict[str, str], tmp_path: Path) -> None:
    with under_rie(built.functions()["ReconciliationFunction"], environment, tmp_path) as lambda_:
        audited = lambda_.invoke(EVENTS["reconciliation"])["audited"]
    days = [report["day"] for report in audited]
    assert days == sorted(days)
    assert days[-1] < utc_day(time.time_ns() // 10**9)
    assert all(report["complete"] and report["accounts"] == report["differences"] == 0 for report in audited)


REPORTS = {
    "holdings-snapshot": {"snapshot_id": None, "waiting": False, "holders": None},
    "holdings-refresh": {"accounts": 0, "wallets": 0, "unread": 0, "failed": 0, "left": 0},
}
"""Without a node no token is read."""


@pytest.mark.parametrize(
    ("name", "function"),
    [("holdings-snapshot", "HoldingsSnapshotFunction"), ("holdings-refresh", "HoldingsRefreshFunction")],
)
def test_the_events_of_the_schedules_of_holdings_are_runs(
    name: str, function: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with under_rie(built.functions()[function], environment, tmp_path) as lambda_:
        assert lambda_.invoke(EVENTS[name]) == REPORTS[name]


def test_a_snapshot_that_is_asked_for_says_why_there_is_none(environment: dict[str, str], tmp_path: Path) -> None:
    with under_rie(built.functions()["HoldingsSnapshotFunction"], environment, tmp_path) as lambda_:
        answer = lambda_.invoke(EVENTS["holdings-snapshot-now"])
    assert answer["errorMessage"] == "no token is configured, or no node of its chain"


@pytest.mark.parametrize("function", sorted(built.functions()))
def test_an_event_that_is_none_of_its_own_is_one_clear_line_and_the_next_is_served(
    function: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with under_rie(built.functions()[function], environment, tmp_path) as lambda_:
        for event in ([1], "text", 7, None):
            answer = lambda_.invoke(event)
            if function in UNREAD:
                assert "errorMessage" not in answer, (event, answer)
            else:
                assert answer["errorType"] in {"MalformedEvent", "Runtime.UnsupportedEvent"}, (event, answer)
        if function in SCHEDULED:
            assert "errorMessage" not in lambda_.invoke({})
            return
        half: dict[str, Any] = {"resource": "/", "requestContext": {}}
        for other in ({}, EVENTS["sweep"], half, EVENTS["health"] | {"body": "x", "isBase64Encoded": True}):
            assert lambda_.invoke(other)["errorType"] in HTTP_REFUSALS, other
        assert lambda_.invoke(EVENTS["health"])["statusCode"] in {200, 401, 404}


def test_every_trigger_of_the_template_has_an_event() -> None:
    with_event = {event["resource"] for event in EVENTS.values() if "resource" in event}
    roots: set[BuiltRoute] = {route for route in built.routes() if route.resource in {"/v1", "/admin/v1"}}
    wanted = {route.resource for route in built.routes()} - {route.resource for route in roots}
    assert wanted - {"/account/v1"} == with_event
    assert set(EVENTS) == set(ANSWERS) | set(REPORTS) | {
        "holdings-snapshot-now",
        "price-oracle",
        "reconciliation",
        "sweep",
        "sweep-full",
    }


@pytest.mark.parametrize(
    ("function", "variable", "value", "said"),
    [
        ("AccountFunction", "JATEVO_MARGIN_BPS", "ten", "JATEVO_MARGIN_BPS must be a whole number, not 'ten'"),
        ("InferenceFunction", "JATEVO_MARGIN_BPS", "ten", "JATEVO_MARGIN_BPS must be a whole number, not 'ten'"),
        (
            "AdminFunction",
            "JATEVO_OPERATOR_TOKEN",
            "short",
            "JATEVO_OPERATOR_TOKEN: the admin token must have at least",
        ),
        *(
            (name, "JATEVO_TABLE_PREFIX", "absent", "the tables cannot be read: DynamoDB refused: ResourceNotFound")
            for name in sorted(built.functions())
            if name != "SiteFunction"
        ),
        (
            "AdminFunction",
            "JATEVO_OPERATOR_TOKEN",
            "ssm:/jatevo/operator-token",
            "ssm:/jatevo/operator-token cannot be",
        ),
        ("InferenceFunction", "JATEVO_ENTITLEMENT_MINIMUM_USD", "1,00", "JATEVO_ENTITLEMENT_MINIMUM_USD: "),
        ("HoldingsRefreshFunction", "JATEVO_EVM_TOKEN", "0x1", "JATEVO_EVM_TOKEN must be a token such as eip155:"),
        (
            "HoldingsSnapshotFunction",
            "JATEVO_SOLANA_TOKEN",
            "9VY2",
            "JATEVO_SOLANA_TOKEN must be a token such as solana",
        ),
        ("PriceOracleFunction", "JATEVO_PRICE_SOURCES", "{", "JATEVO_PRICE_SOURCES: "),
        ("PriceOracleFunction", "JATEVO_PRICE_RULES", "quorum=many", "JATEVO_PRICE_RULES: "),
        ("SiteFunction", "JATEVO_PUBLIC_URL", "gateway", "JATEVO_PUBLIC_URL must be like https://"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_clear_line(
    function: str, variable: str, value: str, said: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with under_rie(built.functions()[function], environment | {variable: value}, tmp_path) as lambda_:
        answer = lambda_.invoke(EVENTS["health"])
    assert said in answer["errorMessage"]
    assert sum(said in line for line in logs(tmp_path).splitlines() if "errorMessage" not in line) <= 2


def logs(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.rglob("*.log"))

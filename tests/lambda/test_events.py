"""Every sample event, answered by the built function under AWS's own emulator and, where it is theirs, loop."""

import json
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.rie import under_rie

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local import built
from jatevo_local.built import BuiltRoute
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((PROJECT / "events").glob("*.json"))}
ANSWERS = {
    "chat": (401, "invalid_api_key"),
    "chat-stream": (401, "invalid_api_key"),
    "responses-stream": (401, "invalid_api_key"),
    "models": (401, "invalid_api_key"),
    "model": (401, "invalid_api_key"),
    "usage": (401, "invalid_api_key"),
    "challenge": (200, None),
    "admin-create-account": (401, "invalid_admin_token"),
    "health": (200, None),
    "front": (200, None),
    "not-found": (404, "not_found"),
}
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
    assert report == {"reason": "kept_silence", "state": "stale", "price_pico_usd": None, "agreed": 0, "asked": 0}


def test_every_trigger_of_the_template_has_an_event() -> None:
    with_event = {event["resource"] for event in EVENTS.values() if "resource" in event}
    roots: set[BuiltRoute] = {route for route in built.routes() if route.resource in {"/v1", "/admin/v1"}}
    wanted = {route.resource for route in built.routes()} - {route.resource for route in roots}
    assert wanted - {"/account/v1"} == with_event
    assert set(EVENTS) == set(ANSWERS) | {"price-oracle", "sweep", "sweep-full"}


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
            for name in ("AccountFunction", "AdminFunction", "InferenceFunction", "ReservationSweeperFunction")
        ),
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

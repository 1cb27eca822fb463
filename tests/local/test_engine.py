"""
The engines that the stack and the tests stand on do what the accounting needs, and start as promised.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from jatevo_local import engine as engines
from jatevo_local.engine import Engine, start_dynoxide, start_engine, start_extenddb
from jatevo_local.errors import StackError
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STARTERS: list[Callable[[Children, int], Engine]] = [start_dynoxide, start_extenddb]


def client(engine: Engine) -> "DynamoDBClient":
    return boto3.client(
        "dynamodb",
        endpoint_url=engine.endpoint_url,
        region_name=engines.REGION,
        aws_access_key_id=engines.ACCESS_KEY_ID,
        aws_secret_access_key=engines.SECRET_ACCESS_KEY,
    )


def create_table(dynamodb: "DynamoDBClient") -> None:
    dynamodb.create_table(
        TableName="windows",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName="windows", WaiterConfig={"Delay": 1})


def take_one(dynamodb: "DynamoDBClient") -> str:
    answer = dynamodb.update_item(
        TableName="windows",
        Key={"id": {"S": "day"}},
        UpdateExpression="SET #left = #left - :one",
        ConditionExpression="#left >= :one",
        ExpressionAttributeNames={"#left": "left"},
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="UPDATED_NEW",
    )
    return answer["Attributes"]["left"]["N"]


@pytest.mark.parametrize("start", STARTERS)
def test_a_conditional_update_stops_at_the_limit(start: Callable[[Children, int], Engine], children: Children) -> None:
    dynamodb = client(start(children, free_port()))
    create_table(dynamodb)
    dynamodb.put_item(TableName="windows", Item={"id": {"S": "day"}, "left": {"N": "2"}})
    assert [take_one(dynamodb), take_one(dynamodb)] == ["1", "0"]
    with pytest.raises(ClientError, match="ConditionalCheckFailedException"):
        take_one(dynamodb)


def test_dynoxide_on_disk_finds_its_data_after_sigkill(children: Children, tmp_path: Path) -> None:
    engine = start_engine(children, free_port(), tmp_path / "data" / "dynamodb.db")
    dynamodb = client(engine)
    create_table(dynamodb)
    dynamodb.put_item(TableName="windows", Item={"id": {"S": "day"}, "left": {"N": "7"}})
    first = engine.process.pid
    os.kill(first, signal.SIGKILL)
    gives_up_at = time.monotonic() + 10
    while engine.process.pid == first:
        assert time.monotonic() < gives_up_at
        time.sleep(0.01)
    assert read_when_back(dynamodb) == "7"


def read_when_back(dynamodb: "DynamoDBClient") -> str:
    for _ in range(50):
        try:
            return dynamodb.get_item(TableName="windows", Key={"id": {"S": "day"}})["Item"]["left"]["N"]
        except EndpointConnectionError:
            time.sleep(0.05)
    raise AssertionError("the engine did not come back")


def test_without_a_binary_the_fallback_is_announced_and_never_moto(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "PACKAGES", tmp_path)
    monkeypatch.setattr(engines, "MINISTACK", tmp_path / "ministack")
    with pytest.raises(StackError, match="no database engine runs on"):
        start_engine(children, free_port(), tmp_path / "dynamodb.db")
    assert "using ministack" in capsys.readouterr().out


def test_a_missing_engine_is_one_clear_line(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "PACKAGES", tmp_path)
    with pytest.raises(StackError, match=r"extenddb is not installed .* run `make setup`"):
        start_extenddb(children, free_port())

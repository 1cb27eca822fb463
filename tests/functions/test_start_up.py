"""A gateway that cannot account for requests says so in one line and does not start."""

from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.world import World

from jatevo.adapters.dynamodb import client
from jatevo.bootstrap import Gateway, Settings, SettingsError
from jatevo_inference.app import InferenceApp
from jatevo_inference.handler import create_app


async def started(app: InferenceApp) -> dict[str, Any]:
    """Return what the app says to the start of its lifespan."""
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    said: list[Any] = []

    async def receive() -> Any:
        return next(asked)

    async def send(message: Any) -> None:
        said.append(message)

    await app({"type": "lifespan"}, receive, send)
    first: dict[str, Any] = said[0]
    return first


async def test_tables_that_answer_are_enough(world: World) -> None:
    assert await started(world.app) == {"type": "lifespan.startup.complete"}


async def test_missing_tables_are_one_line(dynoxide: str) -> None:
    gateway = Gateway(Settings(dynamodb_endpoint=dynoxide, table_prefix="absent"))
    said = await started(create_app(gateway))
    assert said["type"] == "lifespan.startup.failed"
    assert said["message"] == "the tables cannot be read: DynamoDB refused: ResourceNotFoundException"
    gateway.close()


async def test_an_unreachable_store_is_one_line() -> None:
    gateway = Gateway(Settings(dynamodb_endpoint="http://127.0.0.1:9"))
    said = await started(create_app(gateway))
    assert said["message"] == "the tables cannot be read: DynamoDB cannot be reached"
    gateway.close()


@pytest.mark.parametrize("check", ["check_tables", "check_windows", "check_books"])
def test_other_functions_say_the_same_of_the_table_they_may_read(dynoxide: str, check: str) -> None:
    gateway = Gateway(Settings(dynamodb_endpoint=dynoxide, table_prefix="absent"))
    with pytest.raises(
        SettingsError, match=r"^the tables cannot be read: DynamoDB refused: ResourceNotFoundException$"
    ):
        getattr(gateway, check)()
    gateway.close()


def test_missing_credentials_are_told_apart_from_an_unreachable_store(
    dynoxide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    gateway = Gateway(Settings(dynamodb_endpoint=dynoxide))
    with pytest.raises(SettingsError, match=r"^the tables cannot be read: there are no AWS credentials for DynamoDB$"):
        gateway.check_tables()
    gateway.close()


async def test_a_snapshot_holds_no_connection_and_what_is_restored_makes_a_new_one(dynoxide: str) -> None:
    dynamodb = client.DynamoClient(client.ClientOptions(region="us-east-1", endpoint_url=dynoxide))
    before = sockets()
    await dynamodb.retried("list_tables")
    assert sockets() == before + 1
    dynamodb.disconnect()
    assert sockets() == before
    await dynamodb.retried("list_tables")
    dynamodb.close()


def sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(str(link.readlink()).startswith("socket:") for link in links if link.is_symlink())

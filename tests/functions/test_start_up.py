"""A gateway that cannot account for requests says so in one line and does not start."""

from typing import Any

import pytest
from jatevo_testing.world import World

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


def test_a_buffered_function_says_the_same(dynoxide: str) -> None:
    gateway = Gateway(Settings(dynamodb_endpoint=dynoxide, table_prefix="absent"))
    with pytest.raises(
        SettingsError, match=r"^the tables cannot be read: DynamoDB refused: ResourceNotFoundException$"
    ):
        gateway.check_tables()
    gateway.close()

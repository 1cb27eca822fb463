"""Functions that run in real processes under the loop, shared by the tests of a module."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jatevo_local.lambda_api import FunctionSpec, LambdaFunction

HERE = Path(__file__).parent
LAYER = HERE.parents[1] / "layers" / "response_stream"
WRAPPER = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/response-stream"}

type Start = Callable[..., Any]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a function under the loop: `async with start("zoo.app", timeout_s=1) as function`."""

    @asynccontextmanager
    async def started(handler: str, **options: Any) -> AsyncIterator[LambdaFunction]:
        environment = WRAPPER | options.pop("environment", {})
        options = {"timeout_s": 10, "code": HERE / "apps", **options}
        name = handler.partition(".")[0]
        spec = FunctionSpec(name=name, handler=handler, layers=(LAYER,), environment=environment, **options)
        async with LambdaFunction(spec, tmp_path_factory.mktemp("logs")) as function:
            yield function

    return started


@pytest.fixture(scope="module")
async def zoo(start: Start) -> AsyncIterator[LambdaFunction]:
    async with start("zoo.app") as function:
        yield function

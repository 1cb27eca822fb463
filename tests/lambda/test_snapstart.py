"""The inference function as built, started from a snapshot: it closes its connections before, and serves after."""

import json
import re
from pathlib import Path

import pytest
from jatevo_testing.lambda_stream import taken_apart

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo_local import built
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT
from jatevo_local.lambda_api import FunctionSpec, LambdaFunction

HOOKS = """
from pathlib import Path

_before = []

def register_before_snapshot(function, *arguments, **named):
    _before.append((_reported, (function,), {}))

def _reported(hook):
    before = _sockets()
    hook()
    print("sockets closed:", before - _sockets(), flush=True)

def _sockets():
    links = Path("/proc/self/fd").iterdir()
    return sum(str(link.readlink()).startswith("socket:") for link in links if link.is_symlink())

def get_before_snapshot():
    return _before

def get_after_restore():
    return []
"""
"""Stands in for Lambda's package of that name, and says what a hook does."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_a_snapshot_holds_no_connection_and_serves_when_it_is_restored(
    dynoxide: str, tables: TableNames, tmp_path: Path
) -> None:
    function = built.functions()["InferenceFunction"]
    hooks = tmp_path / "hooks" / "python"
    hooks.mkdir(parents=True)
    (hooks / "snapshot_restore_py.py").write_text(HOOKS)
    settings = {
        "JATEVO_DYNAMODB_ENDPOINT": dynoxide,
        "JATEVO_TABLE_PREFIX": tables.windows.removesuffix("-windows"),
    }
    spec = FunctionSpec(
        name=function.name,
        handler=function.handler,
        code=function.code,
        layers=(hooks.parent, *function.layers),
        environment={**function.environment, **AWS_ENVIRONMENT, **settings},
        timeout_s=10,
        snap_start=True,
        python=str(built.RUNTIME_PYTHON),
    )
    event = json.loads((PROJECT / "events" / "chat.json").read_text())
    async with LambdaFunction(spec, tmp_path) as running:
        prelude, _ = await taken_apart(await running.invoke(event))
        assert prelude["statusCode"] == 401, running.log()
        [closed] = re.findall(r"sockets closed: (\d+)", running.log())
        assert int(closed) > 0, "the start reads the tables"

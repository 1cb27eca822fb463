"""
The stock Runtime Interface Emulator: AWS's own stand-in for Lambda, with AWS's own Python loop, on a built function.

Both come from packages (aws-sam-cli carries the emulator, awslambdaric is the loop), so no container is needed.
"""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from jatevo_local.built import RUNTIME_PYTHON, BuiltFunction
from jatevo_local.engine import PROJECT
from jatevo_local.lambda_api.spec import FunctionSpec, import_path
from jatevo_local.ports import LOOPBACK, accepts_connections, free_port
from jatevo_local.processes import Children, Program

_RAPID = "lib/python3.13/site-packages/samcli/local/rapid"
_CPU = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
EMULATOR = PROJECT / ".tools" / "sam" / _RAPID / f"aws-lambda-rie-{_CPU[platform.machine()]}"
_INVOKE = "/2015-03-31/functions/function/invocations"


@dataclass(frozen=True)
class Rie:
    """A running function."""

    url: str

    def invoke(self, event: object) -> Any:
        """Return what the function returned, or the error that Lambda would report."""
        answer = httpx.post(self.url + _INVOKE, content=json.dumps(event), timeout=60)
        return json.loads(answer.content)


@contextmanager
def under_rie(function: BuiltFunction, environment: Mapping[str, str], logs: Path) -> Iterator[Rie]:
    """Run a built function with its layers and nothing else on its path."""
    port = free_port()
    spec = FunctionSpec(function.name, function.handler, function.code, function.layers)
    wanted = {
        "LAMBDA_TASK_ROOT": str(function.code),
        "PYTHONPATH": ":".join(map(str, import_path(spec))),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout_s),
        **function.environment,
        **environment,
    }
    wanted.pop("AWS_LAMBDA_EXEC_WRAPPER", None)
    loop = [str(RUNTIME_PYTHON), "-m", "awslambdaric", function.handler]
    if "AWS_LAMBDA_EXEC_WRAPPER" in function.environment:
        loop = [str(function.layers[0] / "response-stream"), *loop[:1], "-m", "awslambdaric"]
        wanted["_HANDLER"] = function.handler
    addresses = ["--runtime-api-address", f"{LOOPBACK}:{free_port()}"]
    addresses += ["--runtime-interface-emulator-address", f"{LOOPBACK}:{port}"]
    os.chmod(EMULATOR, 0o755)  # noqa: PTH101, S103 - the package forgets that it is a program
    program = Program(
        function.name, [str(EMULATOR), *addresses, *loop], ready=lambda: accepts_connections(port), environment=wanted
    )
    with Children(logs, say=lambda _: None) as children:
        children.start(program)
        yield Rie(f"http://{LOOPBACK}:{port}")

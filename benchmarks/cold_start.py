"""
The inference function as it was built, from nothing to its first answered request: CPU of the whole process, peak
memory, and where the time of the imports goes.

    make build && PYTHONPATH=tests/support .venv/bin/python benchmarks/cold_start.py

The function runs under the local Lambda with a Python that has nothing but its layers; engine and upstream are other
processes. Files are in the page cache (a first round is not counted), which on Lambda they are not. CPU is that of
the process from its start to the moment its first answer, a streamed chat, has reached the client.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import World

from jatevo_local import built
from jatevo_local.built_stack import built_stack
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.lambda_api.spec import FunctionSpec, import_path
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

ROUNDS = 7
SHOWN = 12
_TICKS = os.sysconf("SC_CLK_TCK")
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start: `wall_ms` as the client saw it."""

    cpu_ms: float
    wall_ms: float
    peak_mb: float


async def cold_start(environment: dict[str, str], headers: dict[str, str], logs: Path) -> Start:
    """Start everything anew and send one request."""
    body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 16, "stream": True}
    async with built_stack({"": environment}, logs) as stack, httpx.AsyncClient(timeout=30) as client:
        began = time.monotonic()
        answer = await client.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers)
        wall_ms = (time.monotonic() - began) * 1000
        assert answer.status_code == 200, answer.text
        [process] = stack.functions["InferenceFunction"].environments
        return Start(cpu_ms(process.pid), wall_ms, peak_mb(process.pid))


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / _TICKS


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def imports(environment: dict[str, str]) -> list[tuple[float, str]]:
    """Return the milliseconds of the function's own import, with all that it imports, and of the largest parts."""
    function = built.functions()["InferenceFunction"]
    spec = FunctionSpec(function.name, function.handler, function.code, function.layers)
    path = ":".join(str(folder) for folder in (*import_path(spec), function.layers[0]))
    module = function.handler.rpartition(".")[0]
    done = subprocess.run(  # noqa: S603 - the project's own function
        [str(built.RUNTIME_PYTHON), "-X", "importtime", "-c", f"import {module}, mangum.handlers.api_gateway"],
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [(int(m[2]) / 1000, m[4]) for m in map(_IMPORT.match, done.stderr.splitlines()) if m]
    return sorted(found, reverse=True)


async def measure() -> list[Start]:
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=lambda _: None) as children:
        endpoint = start_dynoxide(children, free_port()).endpoint_url
        with fresh_tables(endpoint) as names:
            prefix = names.windows.removesuffix("-windows")
            async with ScriptedUpstream() as upstream:
                world = World(endpoint, prefix)
                world.apply_catalogue(base_url=upstream.base_url)
                headers = world.customer(requests=1000).headers
                environment = {
                    **AWS_ENVIRONMENT,
                    "JATEVO_DYNAMODB_ENDPOINT": endpoint,
                    "JATEVO_TABLE_PREFIX": prefix,
                    "POOL_KEY": "x",
                }
                starts = [await cold_start(environment, headers, Path(folder)) for _ in range(ROUNDS + 1)]
                await world.close()
                return starts[1:]


def main() -> int:
    starts = asyncio.run(measure())
    print(f"inference function as built, cold start to first answered request; median of {ROUNDS} (least, most)")
    for name, unit in (("cpu_ms", "ms CPU"), ("wall_ms", "ms wall"), ("peak_mb", "MB peak")):
        values = [getattr(start, name) for start in starts]
        print(f"  {statistics.median(values):7.1f} {unit:8} ({min(values):.1f}, {max(values):.1f})")
    print("\nimports, ms with all that each imports (measuring itself makes them slower by about a third):")
    for ms, module in imports(dict(AWS_ENVIRONMENT))[:SHOWN]:
        print(f"  {ms:7.1f}  {module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
Where each millisecond of a cold start goes, for every function as it was built.

    make build && PYTHONPATH=tests/support .venv/bin/python benchmarks/imports.py [FUNCTION…]

A process imports what Lambda would call, with a Python that has nothing but the function's layers, over an empty
engine: the tables are read once, as at every start, and objects are wired. First without a gauge: CPU and peak memory
of the whole process, the interpreter and Lambda's own loop included, the median of several. Then with the
interpreter's import clock: each module's own time, without what it imports, summed by package, so that the column adds
up. That clock slows imports down, so these are scaled to the CPU that was measured without it. Files are in the page
cache, which on Lambda they are not.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from jatevo_testing.tables import fresh_tables

from jatevo_local import built
from jatevo_local.built import BuiltFunction
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.lambda_api.spec import FunctionSpec, import_path
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

ROUNDS = 5
SHOWN_MS = 1.0
WIRING = "wiring, and the first read of the tables"
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")
_LOOPS = {True: "lambda_response_stream.runtime, mangum.handlers.api_gateway", False: "awslambdaric"}
"""What serves the function, by whether it is streamed."""


def command(function: BuiltFunction) -> list[str]:
    """Import what Lambda imports before the first event."""
    loop = _LOOPS["AWS_LAMBDA_EXEC_WRAPPER" in function.environment]
    return [str(built.RUNTIME_PYTHON), "-c", f"import {loop}, {function.handler.rpartition('.')[0]}"]


def surroundings(function: BuiltFunction, tables: dict[str, str]) -> dict[str, str]:
    spec = FunctionSpec(function.name, function.handler, function.code, function.layers)
    path = ":".join(str(folder) for folder in (*import_path(spec), *function.layers))
    return {**function.environment, **AWS_ENVIRONMENT, **tables, "PYTHONPATH": path}


def cost(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU in milliseconds and peak memory in MB of one process."""
    watched = [*arguments[:-1], f"{arguments[-1]}; print(open('/proc/self/status').read())"]
    with subprocess.Popen(watched, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} failed")
    return (used.ru_utime + used.ru_stime) * 1000, int(said.partition("VmHWM:")[2].split()[0]) / 1000


def by_package(arguments: list[str], environment: dict[str, str], entry: str) -> Counter[str]:
    """Microseconds by package; the standard library is one. What the entry does itself is no import."""
    clocked = [arguments[0], "-X", "importtime", *arguments[1:]]
    said = subprocess.run(clocked, env=environment, capture_output=True, text=True, check=True).stderr  # noqa: S603 - same
    spent: Counter[str] = Counter()
    for own_us, module in _IMPORT.findall(said):
        package = module.partition(".")[0]
        if package in sys.stdlib_module_names:
            package = "standard library"
        spent[WIRING if module == entry else package] += int(own_us)
    return spent


def tell(function: BuiltFunction, tables: dict[str, str]) -> None:
    """Print one function."""
    arguments, environment = command(function), surroundings(function, tables)
    costs = [cost(arguments, environment) for _ in range(ROUNDS + 1)][1:]
    cpu_ms = statistics.median(cpu for cpu, _ in costs)
    print(f"\n{function.name}: {cpu_ms:.0f} ms CPU, {max(peak for _, peak in costs):.0f} MB")
    bare_ms = statistics.median(cost([arguments[0], "-c", "pass"], environment)[0] for _ in range(ROUNDS))
    spent = by_package(arguments, environment, function.handler.rpartition(".")[0])
    scale = min(1.0, (cpu_ms - bare_ms) * 1000 / spent.total())
    parts = {name: us * scale / 1000 for name, us in spent.items()}
    shown = {"the interpreter": bare_ms, **{name: ms for name, ms in parts.items() if ms >= SHOWN_MS}}
    shown["all other packages"] = sum(parts.values()) - sum(parts[name] for name in parts if name in shown)
    shown["what the clock does not see"] = cpu_ms - bare_ms - sum(parts.values())
    for name, ms in sorted(shown.items(), key=lambda part: -part[1]):
        print(f"  {ms:7.1f} ms  {name}")


def main() -> int:
    chosen = sys.argv[1:] or list(built.functions())
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=lambda _: None) as children:
        endpoint = start_dynoxide(children, free_port()).endpoint_url
        with fresh_tables(endpoint) as names:
            prefix = names.windows.removesuffix("-windows")
            tables = {
                "JATEVO_DYNAMODB_ENDPOINT": endpoint,
                "JATEVO_TABLE_PREFIX": prefix,
                "JATEVO_OPERATOR_TOKEN": "a-token-of-thirty-characters-xx",
                "JATEVO_PUBLIC_URL": "https://example.com/prod",
            }
            for name in chosen:
                tell(built.functions()[name], tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())

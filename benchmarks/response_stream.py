"""
What the streaming loop costs: processor time per chunk, and of its import.

    .venv/bin/python benchmarks/response_stream.py

Chunks: an app under the loop, in a process of its own, sends as many chunks as it can to an emulated Runtime API; the
processor time of that process is divided by their number. `socket` is the same number of bare system calls: the floor.
Imports: processor time in a fresh interpreter with warm .pyc, each after those above it; the least of several runs, for
whatever else runs on the machine only adds to it.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from jatevo_local.lambda_api import FunctionSpec, LambdaFunction
from jatevo_local.lambda_api.calls import Reply

LAYER = Path(__file__).parents[1] / "layers" / "response_stream"
TARGET_US = 50
RUNS = 25

APP = textwrap.dedent('''
    import json, socket, time

    def spent(began):
        return [time.process_time() - began[0], time.perf_counter() - began[1]]

    def clocks():
        return time.process_time(), time.perf_counter()

    def bare(count, data):
        """The floor: as many writes to a socket that has room."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        total = 0.0
        for _ in range(count):
            began = time.perf_counter()
            ours.send(data)
            total += time.perf_counter() - began
            theirs.recv(1 << 20)
        return total

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        count, size = json.loads((await receive())["body"])
        data = b"x" * size
        floor = bare(count, data)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        began = clocks()
        for _ in range(count):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        cpu, wall = spent(began)
        line = json.dumps({"cpu": cpu, "wall": wall, "floor": floor}).encode()
        await send({"type": "http.response.body", "body": line})
''')

IMPORTS = {
    "python itself": "pass",
    "asyncio and json, which every app has": "import asyncio, json, logging, dataclasses, inspect, traceback",
    "the loop": "import lambda_response_stream.runtime",
    "Mangum, for the events": "from lambda_response_stream.events import event_parser; event_parser()",
}


async def chunk_costs(folder: Path) -> Iterator[tuple[int, int, dict[str, float]]]:
    (folder / "bench_app.py").write_text(APP)
    spec = FunctionSpec(
        name="bench",
        handler="bench_app.app",
        code=folder,
        layers=(LAYER,),
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/response-stream"},
        timeout_s=60,
    )
    rows = []
    async with LambdaFunction(spec, folder) as function:
        for size, count in ((20, 20_000), (200, 20_000), (4_000, 10_000), (60_000, 3_000), (1_000_000, 300)):
            rows.append((size, count, await one_run(function, count, size)))
    return iter(rows)


async def one_run(function: LambdaFunction, count: int, size: int) -> dict[str, float]:
    context = {"http": {"method": "POST", "path": "/", "sourceIp": "192.0.2.1"}}
    event = {"version": "2.0", "headers": {}, "requestContext": context, "body": json.dumps([count, size])}
    reply = await function.invoke(event)
    assert isinstance(reply, Reply), reply
    last = b""
    async for piece in reply.pieces():
        last = piece
    measured: dict[str, float] = json.loads(last)
    return {name: seconds / count * 1e6 for name, seconds in measured.items()}


def import_costs() -> Iterator[tuple[str, float]]:
    """What each statement adds in one fresh interpreter, in milliseconds; the least of several."""
    rounds = [imported_once() for _ in range(RUNS)]
    for number, name in enumerate(IMPORTS):
        yield name, min(costs[number] for costs in rounds) * 1000


def imported_once() -> list[float]:
    code = ["import time", "costs = [time.process_time()]"]
    for statement in IMPORTS.values():
        code += ["began = time.process_time()", statement, "costs.append(time.process_time() - began)"]
    code = [line for line in code if line] + ["print(*costs)"]
    run = subprocess.run([sys.executable, "-c", "\n".join(code)], check=True, capture_output=True, text=True)  # noqa: S603
    start, *costs = (float(text) for text in run.stdout.split())
    return [start, *costs[1:]]


async def cold_start_ms(folder: Path) -> float:
    """From nothing to the last byte of a first small answer, wall clock."""
    spec = FunctionSpec(
        name="cold",
        handler="bench_app.app",
        code=folder,
        layers=(LAYER,),
        environment={"AWS_LAMBDA_EXEC_WRAPPER": "/opt/response-stream"},
    )
    times = []
    for _ in range(5):
        async with LambdaFunction(spec, folder) as function:
            began = time.perf_counter()
            await one_run(function, 1, 1)
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'chunk, bytes':>14} {'chunks':>8} {'CPU, µs each':>14} {'wall, µs each':>14} {'socket, µs':>12}")
        for size, count, cost in asyncio.run(chunk_costs(folder)):
            print(f"{size:>14,} {count:>8,} {cost['cpu']:>14.1f} {cost['wall']:>14.1f} {cost['floor']:>12.1f}")
        print(f"{'':>14} target: under {TARGET_US} µs of CPU for chunks as an SSE stream has them\n")
        for what, cost_ms in import_costs():
            print(f"{what:<40} {cost_ms:>8.1f} ms CPU")
        print(f"{'cold start to a first answer, wall':<40} {asyncio.run(cold_start_ms(folder)):>8.1f} ms")


if __name__ == "__main__":
    main()

"""
Where the CPU of a request goes: the gateway on uvicorn under Python's profiler, its own time by part, as shares.

    make bench-where

It counts CPU, not time, so that waiting is not in it. It makes calls of Python dearer than calls of
C, so shares are rough; what a request costs in all is for `make bench` to say. `socket` is the kernel's part: sending
and receiving; `waiting` what it takes to fall asleep and be woken.
"""

import asyncio
import contextlib
import cProfile
import os
import pstats
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness import serve_inference
from harness.driver import Load, drive
from harness.subjects import Laboratory, laboratory
from harness.tables import markdown

from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Program

SECONDS = 6.0
PARTS = {
    "waiting": r"method 'poll' of 'select|epoll",
    "socket": r"_socket\.socket|'(send|recv|sendmsg|recv_into)' of",
    "event loop": r"/asyncio/|_asyncio|contextvars|_contextvars|uvloop",
    "HTTP server": r"uvicorn|httptools|h11",
    "HTTP client": r"jatevo/adapters/http1",
    "DynamoDB client": r"jatevo/adapters/dynamodb|hmac|_hashlib|hashlib|base64|binascii",
    "pool client": r"jatevo/adapters/upstream",
    "wire: parsing and writing": r"jatevo/adapters/wire|/json/|_json|re/__init__|pydantic",
    "log and metrics": r"jatevo/adapters/telemetry|/logging/",
    "use cases": r"jatevo/application",
    "rules": r"jatevo/domain",
    "the app": r"jatevo_inference|jatevo/adapters",
}


def part_of(file: str, function: str) -> str:
    name = f"{file}:{function}"
    return next((part for part, pattern in PARTS.items() if re.search(pattern, name)), "the rest of Python")


def shares(path: Path, requests: int) -> Mapping[str, float]:
    """Return the milliseconds of CPU by part."""
    spent: Counter[str] = Counter()
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    for (file, _, function), (_, _, own_s, _, _) in stats.items():
        spent[part_of(file, function)] += own_s * 1000 / requests
    return spent


def profiled(lab: Laboratory, load: Load, folder: Path) -> Mapping[str, float]:
    """Serve a load under the profiler; what starting takes is measured alone, with one request, and taken off."""
    runs = []
    for seconds in (0.0, SECONDS):
        path, port = folder / f"{seconds}.{load.stream}.pstats", free_port()
        argv = [sys.executable, __file__, "--serve", str(path), str(port)]
        ready = partial(accepts_connections, port)
        child = lab.children.start(Program("profiled", argv, ready, lab.environment, restart=False))
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        seen = asyncio.run(drive(url, lab.customer.headers, "bench", load, seconds))
        os.kill(child.pid, signal.SIGINT)
        until = time.monotonic() + 20
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        runs.append((shares(path, 1), len(seen.whole_s)))
    (idle, one), (busy, many) = runs
    return {part: (busy[part] - idle.get(part, 0.0)) / (many - one) for part in busy}


def serve(path: str, port: int) -> None:
    """Serve as the benchmarks do, and write down where the CPU went when it is interrupted."""
    profile = cProfile.Profile(time.thread_time)
    with contextlib.suppress(KeyboardInterrupt):
        profile.runcall(serve_inference.serve, port)
    profile.dump_stats(path)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as folder, laboratory() as lab:
        found = [profiled(lab, Load(stream=stream), Path(folder)) for stream in (False, True)]
    totals = [sum(one.values()) for one in found]
    rows = [
        [part, *(f"{100 * one.get(part, 0.0) / total:.0f} %" for one, total in zip(found, totals, strict=True))]
        for part in sorted(found[0], key=lambda part: -found[0][part])
    ]
    print(markdown(["own time of", "a plain request", "a stream of 32 chunks"], rows))


if __name__ == "__main__":
    main()

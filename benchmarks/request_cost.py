"""
What one request costs the gateway's process: CPU and wall time, plain and streamed, against a bare upstream.

    make bench

The gateway runs in this process, its engine (Dynoxide in memory) and a scripted upstream in others, so that CPU time is
the gateway's own plus that of the client that drives it; the same client straight to the upstream is measured as well,
and subtracted. Machines are noisy: compare figures of one run only.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from jatevo_testing.tables import fresh_tables
from jatevo_testing.world import World

from jatevo.bootstrap import Settings
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Children, Program

REQUESTS = 300
ROUNDS = 3
TOKENS = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one request."""

    cpu_ms: float
    wall_ms: float


async def cost_of(send: Callable[[], Awaitable[None]], concurrency: int) -> Cost:
    """Return the medians over the rounds of CPU and wall time per request."""
    for _ in range(20):
        await send()
    rounds = [await _round(send, concurrency) for _ in range(ROUNDS)]
    return Cost(statistics.median(cost.cpu_ms for cost in rounds), statistics.median(cost.wall_ms for cost in rounds))


async def _round(send: Callable[[], Awaitable[None]], concurrency: int) -> Cost:
    async def worker() -> None:
        for _ in range(REQUESTS // concurrency):
            await send()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    done = REQUESTS // concurrency * concurrency
    return Cost((time.process_time() - cpu) * 1000 / done, (time.perf_counter() - wall) * 1000 / done)


def sender(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], *, stream: bool
) -> Callable[[], Awaitable[None]]:
    """Return a function that sends one request and reads its answer."""
    body = {
        "model": "test-model",
        "max_tokens": TOKENS,
        "stream": stream,
        "messages": [{"role": "user", "content": "x" * 1000}],
    }

    async def send() -> None:
        answer = await client.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    return send


async def measure(endpoint_url: str, upstream_port: int) -> None:
    with fresh_tables(endpoint_url) as names:
        world = World(endpoint_url, names.windows.removesuffix("-windows"), Settings())
        base_url = f"http://127.0.0.1:{upstream_port}/v1"
        world.apply_catalogue(base_url=base_url)
        customer = world.customer(requests=10**6, budget_nano_usd=10**15)
        async with httpx.AsyncClient(base_url=base_url, timeout=30) as bare:
            print(f"{'':24}{'CPU ms':>10}{'wall ms':>10}{'bare CPU':>10}{'added CPU':>11}{'added wall':>12}")
            for stream in (False, True):
                for concurrency in (1, 16):
                    ours = await cost_of(
                        sender(world.client, "/v1/chat/completions", customer.headers, stream=stream), concurrency
                    )
                    theirs = await cost_of(sender(bare, "/chat/completions", {}, stream=stream), concurrency)
                    kind = f"{'streamed' if stream else 'plain'}, {concurrency} at once"
                    print(
                        f"{kind:24}{ours.cpu_ms:10.2f}{ours.wall_ms:10.2f}{theirs.cpu_ms:10.2f}"
                        f"{ours.cpu_ms - theirs.cpu_ms:11.2f}{ours.wall_ms - theirs.wall_ms:12.2f}"
                    )
        await world.close()


def main() -> None:
    os.environ.update(AWS_ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=lambda _: None) as children:
        engine = start_dynoxide(children, free_port())
        port = free_port()
        children.start(
            Program(
                "upstream",
                [sys.executable, "-m", "jatevo_testing.upstream", str(port)],
                ready=lambda: accepts_connections(port),
            )
        )
        asyncio.run(measure(engine.endpoint_url, port))


if __name__ == "__main__":
    main()

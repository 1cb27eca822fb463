"""
What one request costs: CPU and memory of the gateway's process, and the time that it adds, over a stub of known timing.

    make bench                # a few minutes; a Markdown table
    make bench BENCH=--quick  # fewer loads

Gateway, engine (Dynoxide in memory), stub and driver are processes of their own; CPU is read from the kernel for the
gateway's alone. Beside it stands a relay that only passes bytes on, without and with three writes to DynamoDB for each
request: what lies under any gateway of this shape, on this machine. Times are those of the driver, less the median of
the same load straight to the stub; *jitter* is how far the time between two tokens is from the stub's, for 19 of 20.
Each figure is the median of rounds that alternate between what is compared. Machines are noisy: compare
figures of one run only.
"""

import argparse
import asyncio
import statistics
from dataclasses import dataclass

from harness import meter
from harness.driver import Load, Seen, drive
from harness.stub import BETWEEN_S
from harness.subjects import Laboratory, Subject, as_built, bare, laboratory, on_uvicorn, relay
from harness.tables import markdown

ROUND_S = 1.0
ROUNDS = 3
LOADS = [
    Load(stream=stream, concurrency=concurrency, prompt_bytes=prompt_bytes)
    for stream in (False, True)
    for prompt_bytes in (1_000, 100_000)
    for concurrency in (1, 16, 64)
]
QUICK = [Load(stream=stream, concurrency=concurrency) for stream in (False, True) for concurrency in (1, 16)]
FEW_TOKENS, MANY_TOKENS = 8, 264
MANY = 16


@dataclass(frozen=True, slots=True)
class Figures:
    """What a load cost: per request, in milliseconds. `jitter_ms` None: it was not streamed."""

    cpu_ms: float
    first_ms: float
    first_p95_ms: float
    jitter_ms: float | None
    per_s: float


async def measured(subject: Subject, load: Load, seconds: float = ROUND_S) -> Figures:
    """Return the figures of one round."""
    cpu = meter.cpu_s(subject.pids())
    began = asyncio.get_running_loop().time()
    seen = await drive(subject.url, subject.headers, subject.model, load, seconds)
    took = asyncio.get_running_loop().time() - began
    await asyncio.sleep(0.05)  # what ends after the answer is part of its cost
    done = len(seen.whole_s)
    return Figures(
        cpu_ms=(meter.cpu_s(subject.pids()) - cpu) * 1000 / done,
        first_ms=statistics.median(seen.first_s) * 1000,
        first_p95_ms=_p95(seen.first_s) * 1000,
        jitter_ms=_jitter_s(seen) * 1000 if seen.gaps_s else None,
        per_s=done / took,
    )


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _jitter_s(seen: Seen) -> float:
    # The last event of each answer, usage and end marker, comes with or after settling: it is no token.
    return _p95([abs(gap - BETWEEN_S) for gap in seen.gaps_s if gap > BETWEEN_S / 10])


def median(rounds: list[Figures]) -> Figures:
    jitters = [one.jitter_ms for one in rounds if one.jitter_ms is not None]
    return Figures(
        cpu_ms=statistics.median(one.cpu_ms for one in rounds),
        first_ms=statistics.median(one.first_ms for one in rounds),
        first_p95_ms=statistics.median(one.first_p95_ms for one in rounds),
        jitter_ms=statistics.median(jitters) if jitters else None,
        per_s=statistics.median(one.per_s for one in rounds),
    )


async def compare(subjects: list[Subject], load: Load) -> list[Figures]:
    """Return the figures of each subject, the rounds of all taken in turn."""
    for subject in subjects:
        await measured(subject, load, 0.3)
    rounds = [[await measured(subject, load) for subject in subjects] for _ in range(ROUNDS)]
    return [median(list(of_one)) for of_one in zip(*rounds, strict=True)]


async def requests(ours: Subject, stub: Subject, loads: list[Load]) -> str:
    rows = []
    for load in loads:
        here, there = await compare([ours, stub], load)
        kind = f"{'streamed' if load.stream else 'plain'}, {load.prompt_bytes // 1000} KB, {load.concurrency} at once"
        added, added_p95 = here.first_ms - there.first_ms, here.first_p95_ms - there.first_p95_ms
        rows.append(
            [
                kind,
                here.cpu_ms,
                added,
                added_p95,
                here.jitter_ms,
                there.jitter_ms,
                here.per_s,
                meter.rss_mb(ours.pids()),
            ]
        )
    head = ["request", "CPU ms", "added ms", "p95", "jitter ms", "the stub's", "per s", "RSS MB"]
    return markdown(head, rows)


async def cpu_per_chunk_us(subject: Subject, concurrency: int) -> float:
    """Return what one more chunk of a stream costs."""
    few, many = (Load(stream=True, concurrency=concurrency, tokens=tokens) for tokens in (FEW_TOKENS, MANY_TOKENS))
    rounds = [[(await measured(subject, load)).cpu_ms for load in (few, many)] for _ in range(ROUNDS)]
    slopes = [(cpu_many - cpu_few) * 1000 / (MANY_TOKENS - FEW_TOKENS) for cpu_few, cpu_many in rounds]
    return statistics.median(slopes)


async def costs(subjects: list[Subject]) -> list[list[object]]:
    """Return, of each: its name; CPU of a plain request, of a streamed one, of a chunk; its peak memory."""
    loads = [Load(stream=stream, concurrency=concurrency) for stream in (False, True) for concurrency in (1, MANY)]
    cpu = [[figures.cpu_ms for figures in await compare(subjects, load)] for load in loads]
    rows = []
    for place, subject in enumerate(subjects):
        chunks = [await cpu_per_chunk_us(subject, concurrency) for concurrency in (1, MANY)]
        rows.append([subject.name, *[of[place] for of in cpu], *chunks, meter.rss_mb(subject.pids(), peak=True)])
    return rows


async def under_lambda(lab: Laboratory) -> list[object]:
    """Return the same of what was built, which serves one request at a time."""
    async with as_built(lab) as built:
        plain, streamed = [(await compare([built], Load(stream=stream)))[0].cpu_ms for stream in (False, True)]
        chunk, peak = await cpu_per_chunk_us(built, 1), meter.rss_mb(built.pids(), peak=True)
        return [built.name, plain, None, streamed, None, chunk, None, peak]


async def report(lab: Laboratory, loads: list[Load]) -> None:
    ours, stub = on_uvicorn(lab), bare(lab)
    print(await requests(ours, stub, loads), end="\n\n")
    rows = await costs([ours, relay(lab, 0), relay(lab, 3)])
    head = [
        "CPU",
        "plain, ms",
        f"{MANY} at once",
        "streamed, ms",
        f"{MANY} at once",
        "a chunk, µs",
        f"{MANY} at once",
        "peak MB",
    ]
    print(markdown(head, [*rows, await under_lambda(lab)]))
    print(f"\nCPU of waking a process that sleeps, on this machine: {await meter.wake_up_us():.1f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer loads")
    options = parser.parse_args()
    with laboratory() as lab:
        asyncio.run(report(lab, QUICK if options.quick else LOADS))


if __name__ == "__main__":
    main()

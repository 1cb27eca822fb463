"""
Other gateways and this one, over the same stub in the same run.

    make bench-peers      # installs codex-lb, LiteLLM and Portkey into .tools/peers (0.7 GB), then takes minutes

Rounds go round all of them in turn, so that a busy machine is busy for each; each figure is the median. What each one
checks on a request differs, and stands in the table. CPU is that of all processes of a gateway, read from the kernel.
What a database in another process does is not in it, as it would not be on AWS: that is this gateway's engine only,
since the others keep what they keep in their own process.
"""

import argparse
import asyncio
import os
import statistics
from dataclasses import dataclass, field

import httpx
from harness import meter, peers
from harness.driver import BadAnswer, Load, drive
from harness.peers import Running
from harness.subjects import Laboratory, Subject, bare, laboratory, on_uvicorn
from harness.tables import markdown

from jatevo_local.errors import StackError

PLAIN, MANY, STREAMED = Load(stream=False), Load(stream=False, concurrency=16), Load(stream=True)
LOADS = (PLAIN, MANY, STREAMED)
ROUND_S = 1.5
ROUNDS = 7


@dataclass(slots=True)
class Seen:
    """Of each round: CPU and time to the first event, milliseconds a request."""

    cpu_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float]:
        return statistics.median(self.cpu_ms), statistics.median(self.first_ms)


def ours(lab: Laboratory) -> Running:
    subject = on_uvicorn(lab)
    checks = "a key, requests and dollars of a day, exactly, on DynamoDB (Dynoxide)"
    return Running(subject, checks, meter.cpu_s(subject.pids()))


def started(lab: Laboratory, wanted: list[str]) -> list[Running]:
    """Start all that are wanted and can be; say why of the others."""
    running = [ours(lab)]
    for peer in peers.ALL:
        if wanted and not any(peer.name.lower().startswith(name.lower()) for name in wanted):
            continue
        try:
            running.append(peers.start(lab, peer))
        except (StackError, httpx.HTTPError, OSError) as error:
            print(f"{peer.name} is not measured: {error}\n")
    return running


async def one_round(subject: Subject, load: Load, seen: Seen) -> None:
    cpu = meter.cpu_s(subject.pids())
    found = await drive(subject.url, subject.headers, subject.model, load, ROUND_S)
    await asyncio.sleep(0.1)  # what ends after the answer is part of its cost
    seen.cpu_ms.append((meter.cpu_s(subject.pids()) - cpu) * 1000 / len(found.whole_s))
    seen.first_ms.append(statistics.median(found.first_s) * 1000)


async def serves(one: Running, load: Load) -> bool:
    """Return whether a gateway answers such requests as it should, and leave it warm."""
    wrong: list[BaseException] = []
    try:
        await drive(one.subject.url, one.subject.headers, one.subject.model, load, 1.5)
    except* (BadAnswer, OSError, EOFError) as errors:
        wrong += errors.exceptions
    if wrong:
        kind = f"{'streamed' if load.stream else 'plain'}, {load.concurrency} at once"
        print(f"{one.subject.name}, {kind}, is not measured: {' '.join(str(wrong[0]).split())[:300]}\n")
    return not wrong


async def report(lab: Laboratory, running: list[Running]) -> None:
    stub = bare(lab)
    subjects = {load: [stub, *[one.subject for one in running if await serves(one, load)]] for load in LOADS}
    idle = {one.subject.name: meter.rss_mb(one.subject.pids()) for one in running}
    seen = {(subject.name, load): Seen() for load, able in subjects.items() for subject in able}
    for _ in range(ROUNDS):
        for load, able in subjects.items():
            for subject in able:
                await one_round(subject, load, seen[subject.name, load])
    rows: list[list[object]] = []
    for one in running:
        name = one.subject.name
        figures = [seen[name, load].medians() if (name, load) in seen else None for load in subjects]
        bare_ms = [seen[stub.name, load].medians()[1] for load in subjects]
        cpu = [found and found[0] for found in figures]
        added = [found and found[1] - ms for found, ms in zip(figures, bare_ms, strict=True)]
        del added[1]  # with many at once the two cores are full: it would be the queue
        rows.append([name, one.checks, *cpu, *added, one.ready_cpu_s, idle[name]])
    head = [
        "gateway",
        "checks",
        "plain, CPU ms",
        "16 at once",
        "streamed",
        "plain, added ms",
        "to first token, added ms",
    ]
    print(markdown([*head, "to ready, CPU s", "RSS MB"], rows))
    least, most = (pick(ms for ms in seen[running[0].subject.name, PLAIN].cpu_ms) for pick in (min, max))
    print(f"\n{ROUNDS} rounds; plain CPU of the first from {least:.2f} to {most:.2f} ms; load {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="names of peers; none: all")
    options = parser.parse_args()
    with laboratory() as lab:
        asyncio.run(report(lab, started(lab, options.only)))


if __name__ == "__main__":
    main()

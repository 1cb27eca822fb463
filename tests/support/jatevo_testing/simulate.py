"""
`make simulate`: the whole gateway in a simulation, from a seed.

    python -m jatevo_testing.simulate --seed 7 --steps 5000 --seeds 20

It prints what the histories came to. On a failure it prints the seed, makes the history short, prints it, and exits
with 1; the same seed and steps fail again in the same way. `--plant` breaks the product on purpose (`mutants`).
"""

import argparse
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta

from jatevo_testing.simulation.chance import Script
from jatevo_testing.simulation.gateway.simulation import GatewaySimulation
from jatevo_testing.simulation.mutants import MUTANTS
from jatevo_testing.simulation.shrinking import Failure, Shrinking, failure_of
from jatevo_testing.simulation.wire import Fault

_SHOWN = 120
_SORTS = (
    "answered as a stream",
    "answered whole",
    "answered as messages",
    "answered a visitor",
    "continued",
    "stored: GET",
    "stored: DELETE",
    "expired",
    "changed: a new key",
    "changed: expiry",
    "holdings: oracle",
    "holdings: price",
)
"""What is told of a run besides its totals."""


def main() -> int:
    arguments = _arguments()
    logging.disable(logging.CRITICAL)
    totals = Totals()
    until = time.monotonic() + arguments.minutes * 60
    with ExitStack() as planted:
        if arguments.plant:
            planted.enter_context(MUTANTS[arguments.plant]())
        for place, seed in enumerate(range(arguments.seed, arguments.seed + arguments.seeds), 1):
            simulation = GatewaySimulation(seed, steps=arguments.steps)
            error = _run(simulation)
            totals.add(simulation)
            if error is not None:
                _tell(simulation, error, arguments.steps, arguments.shrink_s)
                totals.tell()
                return 1
            if time.monotonic() > until:
                break
            if arguments.tell_every and place % arguments.tell_every == 0:
                totals.tell()
    totals.tell()
    return 0


class Totals:
    """What all histories came to."""

    def __init__(self) -> None:
        self._began = time.process_time()
        self._met: Counter[str] = Counter()
        self._seeds = self._steps = self._windows = self._decisions = self._virtual_ms = 0
        self._accounts = self._keys = 0

    @property
    def cpu_s(self) -> float:
        return time.process_time() - self._began

    def add(self, simulation: GatewaySimulation) -> None:
        self._seeds += 1
        self._steps += simulation.steps
        self._accounts += len(simulation.customers)
        self._keys += sum(len(customer.keys) for customer in simulation.customers)
        self._met += simulation.met
        self._windows += len(simulation.auditor.windows)
        self._decisions += len(simulation.auditor.decisions)
        self._virtual_ms += simulation.clock.at_ms - simulation.began_ms

    def tell(self) -> None:
        """Print the summary."""
        met, cpu_s = self._met, max(self.cpu_s, 0.001)
        faults = {str(fault): met[fault] for fault in Fault if fault is not Fault.NONE}
        refused = {name.removeprefix("HTTP "): count for name, count in met.items() if name.startswith("HTTP ")}
        upstreams = {name: count for name, count in met.items() if name.startswith("upstream ")}
        held = sum(count for name, count in met.items() if name == "held in account")
        _say(
            f"seeds {self._seeds}, steps {self._steps:,}, simulated time {timedelta(seconds=self._virtual_ms // 1000)}"
        )
        _say(f"requests {met['requests']:,}: {held:,} accepted, {sum(refused.values()):,} refused or failed")
        _list("refused or failed", refused)
        _list("among them", {name: met[name] for name in _SORTS})
        _say(f"accounts {self._accounts:,}, keys {self._keys:,}")
        _say(f"windows {self._windows:,}, decisions {self._decisions:,}, changes by operators {met['change']:,}")
        _say(f"store faults {sum(faults.values()):,}, processes killed {met['killed']:,}, nights {met['nights']:,}")
        _list("store faults", faults)
        _list("upstreams", upstreams)
        _say(
            f"{cpu_s:.1f} s of CPU: {self._steps / cpu_s:,.0f} steps, {met['requests'] / cpu_s:,.0f} requests a second"
        )


def _run(simulation: GatewaySimulation) -> Exception | None:
    try:
        simulation.run()
    except Exception as error:  # noqa: BLE001 - whatever fails is what is looked for
        return error
    return None


def _tell(simulation: GatewaySimulation, error: Exception, steps: int, shrink_s: float) -> None:
    """Print a failure, and its history made short."""
    seed, failure = simulation.chance.seed, failure_of(error)
    _say(f"FAILED: seed {seed}, step {simulation.steps}, request {simulation.begun['requests']}")
    _say(f"  {failure.where}: {failure.what}")
    _say(f"  again: make simulate SEED={seed} STEPS={steps}")
    until = time.monotonic() + shrink_s
    last: list[GatewaySimulation] = [simulation]

    def fails(script: Script) -> Failure | None:
        shorter = GatewaySimulation(seed, steps=steps, script=script)
        error = _run(shorter)
        if error is None:
            return None
        found = failure_of(error)
        if found.where == failure.where:
            last[0] = shorter
        return found

    shrinking = Shrinking(simulation.chance.made, fails, failure, lambda: time.monotonic() < until)
    shrinking.shortest()
    shortest = last[0]
    _say(
        f"shortened from {simulation.steps} steps to {shortest.steps}, in {shrinking.tries} tries; what matters of it:"
    )
    for line in _that_matter(list(shortest.trace), failure.what)[-_SHOWN:]:
        at_ms, _, what = line.partition(" ")
        _say(f"  {(int(at_ms) - shortest.began_ms) / 1000:9.3f} s  {what}")


def _that_matter(trace: list[str], what: str) -> list[str]:
    """Return the lines about what a failure names, and those of the strands that had to do with it; else all."""
    named = set(re.findall(r"acct_\w+|lane/\S+", what))
    strands = {_strand(line) for line in trace if any(name in line for name in named)}
    return [line for line in trace if _strand(line) in strands] or trace


def _strand(line: str) -> str:
    return line.partition(" ")[2].partition(":")[0].removesuffix(" ends")


def _list(name: str, counts: Mapping[str, int]) -> None:
    said = ", ".join(f"{what} {count:,}" for what, count in sorted(counts.items(), key=lambda one: -one[1]) if count)
    _say(f"  {name}: {said or 'none'}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description="The whole gateway in a simulation.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5000, help="of each seed, before it comes to rest")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from the first on")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no seed after so much time")
    parser.add_argument("--tell-every", type=int, default=0, help="tell what it came to after so many seeds, too")
    parser.add_argument("--shrink-s", type=float, default=60, help="how long a failing history is made shorter")
    parser.add_argument("--plant", choices=sorted(MUTANTS), help="break the product in this way first")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""
One simulation: a seed decides the limits, the weather on the wire, and every step.

It ends at rest: faults stop, every reservation's time passes, the sweeper runs; then nothing may be open, every
reservation must have ended exactly once, and the ledger and the windows must agree.
"""

from collections import Counter

from jatevo.application.reservations import Policy
from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.chance import Chance, Script
from jatevo_testing.simulation.mishaps import lose_sweep_at
from jatevo_testing.simulation.processes import Engine, Process, SkewedClock, process, registry_on, skews
from jatevo_testing.simulation.registered import Registered
from jatevo_testing.simulation.rest import Rest
from jatevo_testing.simulation.scheduler import Options, Scheduler
from jatevo_testing.simulation.strands import Strands, people
from jatevo_testing.simulation.wire import WiredClient

NOON_MS = 1_795_003_200_000
NEARLY_MIDNIGHT_MS = 1_795_046_400_000 - 20_000
POLICY = Policy(upstream_deadline_s=60, grace_s=30, margin_bps=1000, exposure_cap_bps=3000)
_WEATHER = (0.0, 0.02, 0.1, 0.3)
_MOST_STEPS = 20_000


class Simulation(Scheduler):
    """See the module. `requests`: how many are begun before it comes to rest."""

    def __init__(self, engine: Engine, seed: int, *, requests: int = 30, script: Script | None = None) -> None:
        chance = Chance(seed, script)
        starts_ms = NEARLY_MIDNIGHT_MS if chance.happens(0.4) else NOON_MS
        super().__init__(chance, ManualClock(starts_ms), weather=chance.choice(_WEATHER), most_steps=_MOST_STEPS)
        self.engine = engine
        self._requests = requests
        self._begun = 0
        self._violence = chance.choice((0.0, 0.3))
        self.customer = people(engine, chance, seed)
        digests = [key.digest for key in self.customer.keys]
        now_ms = self.clock.now_ms
        self.registered = Registered(engine.calls, engine.names, self.customer.account.id, digests, now_ms)
        self.auditor = Auditor(engine.names, self.registered, now_ms)
        self._client = WiredClient(self.wire, engine.calls, engine.names.windows, self.auditor)
        self.processes = [self._process(f"p{place}") for place in range(3)]
        self.strands = Strands(self.customer, self.auditor, self.registered, chance, faults_are_made=self.weather > 0)

    def run(self) -> Counter[str]:
        """Run to rest and return what was reached. Raises AssertionError with the seed and the last steps."""
        with registry_on(self.wire, self.registered.looked):
            self.play()
        return self.auditor.reached + self.faults

    @property
    def working(self) -> bool:
        return self._begun < self._requests and not self.chance.exhausted

    async def at_rest(self) -> None:
        self.clock.advance(300)
        sweeper = self.processes[0].sweeper
        await Rest(self.engine, self.auditor, sweeper).check()

    def new_work(self) -> Options:
        busy = self.busy
        new: Options = []
        if busy["request"] < 6:
            new.append((self._request, 3))
        if busy["change"] < 2:
            new.append((self._change, 0.3))
        if busy["sweep"] < 2:
            new.append((self._sweep, 0.15))
        if self._violence and self.tasks:
            new.append((self._kill, self._violence))
        if self._violence:
            new.append((self._lose_sweep_at, 0.05))
        if busy["request"] == 0:
            new.append((self._flood, 0.5))
        if not self.auditor.windows:
            new.append((self._change, 2))
        return [*new, (lambda: self.pass_time(self.chance.choice([1, 10, 95])), 0.1)]

    def _request(self) -> None:
        self._begun += 1
        process = self.chance.choice(self.processes)
        self.start(f"request {self._begun}", process.name, self.strands.request(process))

    def _flood(self) -> None:
        process = self.chance.choice(self.processes)
        for _ in range(3):
            self._begun += 4
            self.start(f"request {self._begun} and more", process.name, self.strands.flood(process))

    def _change(self) -> None:
        process = self.chance.choice(self.processes)
        name, work = self.strands.change(process)
        self.say(f"an operator: {name}")
        self.start(f"change {name}", process.name, work)

    def _sweep(self) -> None:
        process = self.chance.choice(self.processes)
        self.start("sweep", process.name, self.strands.sweep(process, full=self.chance.happens(0.1)))

    def _kill(self) -> None:
        task, handler = self.chance.choice(list(self.tasks.items()))
        self.say(f"{handler.name} is killed")
        self.auditor.reached[f"killed {handler.kind}"] += 1
        handler.dead = True
        self.wire.drop(handler, sent=lambda: self.chance.happens(0.5))
        task.cancel()

    def _lose_sweep_at(self) -> None:
        self.say(lose_sweep_at(self.engine, self.auditor, self.chance))

    def _process(self, name: str) -> Process:
        clock = SkewedClock(self.clock, skews(self.chance))
        return process(name, self.engine, self._client, clock, POLICY, self.chance.bits(32))

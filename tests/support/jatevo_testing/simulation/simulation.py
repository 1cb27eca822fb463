"""
One simulation: a seed decides the limits, the weather on the wire, and every step.

It ends at rest: faults stop, every reservation's time passes, the sweeper runs; then nothing may be open, every
reservation must have ended exactly once, and the ledger and the windows must agree.
"""

import asyncio
import contextvars
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from jatevo.application.reservations import Policy
from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.idle_loop import IdleLoop
from jatevo_testing.simulation.processes import Engine, Process, SkewedClock, process, registry_on, skews
from jatevo_testing.simulation.registered import Registered
from jatevo_testing.simulation.rest import check_at_rest
from jatevo_testing.simulation.strands import Strands, people
from jatevo_testing.simulation.wire import CURRENT, Fault, Handler, Wire, WiredClient

NOON_MS = 1_795_003_200_000
NEARLY_MIDNIGHT_MS = 1_795_046_400_000 - 20_000
POLICY = Policy(upstream_deadline_s=60, grace_s=30, margin_bps=1000, exposure_cap_bps=3000)
_WEATHER = (0.0, 0.02, 0.1, 0.3)
_MOST_STEPS = 20_000


class Simulation:
    """See the module. `requests`: how many are begun before it comes to rest."""

    def __init__(self, engine: Engine, seed: int, *, requests: int = 30) -> None:
        self.engine = engine
        self.seed = seed
        self._chance = random.Random(seed)
        self._requests = requests
        starts_ms = NEARLY_MIDNIGHT_MS if self._chance.random() < 0.4 else NOON_MS
        self.clock = ManualClock(starts_ms)
        self._loop = IdleLoop(self.clock)
        self.wire = Wire()
        self._weather = self._chance.choice(_WEATHER)
        self._violence = self._chance.choice((0.0, 0.3))
        self.customer = people(engine, self._chance, seed)
        digests = [key.digest for key in self.customer.keys]
        now_ms = self.clock.now_ms
        self.registered = Registered(engine.calls, engine.names, self.customer.account.id, digests, now_ms)
        self.auditor = Auditor(engine.names, self.registered, now_ms)
        self._client = WiredClient(self.wire, engine.calls, engine.names.windows, self.auditor)
        self.processes = [self._process(f"p{place}") for place in range(3)]
        self.strands = Strands(
            self.customer, self.auditor, self.registered, self._chance, faults_are_made=self._weather > 0
        )
        self.tasks: dict[asyncio.Task[None], Handler] = {}
        self._begun = 0
        self._steps = 0
        self._quiet = asyncio.Event()
        self.trace: list[str] = []

    def run(self) -> Counter[str]:
        """Run to rest and return what was reached. Raises AssertionError with the seed and the last steps."""
        with registry_on(self.wire, lambda: self.registered):
            try:
                with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                    self._loop.ask(self._step)
                    try:
                        runner.run(self._whole())
                    finally:
                        self._loop.ask(None)
            except BaseException as error:
                error.add_note(f"seed {self.seed}, weather {self._weather}; the last steps:")
                for line in self.trace[-60:]:
                    error.add_note(f"  {line}")
                raise
        return self.auditor.reached

    async def _whole(self) -> None:
        await self._quiet.wait()
        await check_at_rest(self)

    def start(self, name: str, process: Process, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a strand of work as a handler of its own."""
        handler = Handler(f"{name}@{process.name}", process.name)
        context = contextvars.copy_context()
        context.run(CURRENT.set, handler)
        task = self._loop.create_task(work, name=handler.name, context=context)
        self.tasks[task] = handler
        return task

    # One step.

    def _step(self, timer_s: float | None) -> None:
        self._steps += 1
        assert self._steps < _MOST_STEPS, "this never comes to rest"
        self._reap()
        if not self._quiet.is_set() and self._begun >= self._requests and not self.tasks and not self.wire.late:
            self._quiet.set()
            return
        choices = self._choices(timer_s)
        assert choices, "everybody waits for nobody"
        [act] = self._chance.choices([act for act, _ in choices], [weight for _, weight in choices])
        act()

    def _choices(self, timer_s: float | None) -> list[tuple[Callable[[], None], float]]:
        choices: list[tuple[Callable[[], None], float]] = []
        if self.wire.waiting:
            choices.append((self._deliver, 10))
        if self.wire.late:
            choices.append((self._land, 1))
        if timer_s is not None:
            choices.append((lambda: self._pass_time(timer_s), 1))
        if self._begun < self._requests:
            choices += self._new_work()
        return choices

    def _new_work(self) -> list[tuple[Callable[[], None], float]]:
        busy = Counter(handler.name.partition(" ")[0] for handler in self.tasks.values())
        new: list[tuple[Callable[[], None], float]] = []
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
        return [*new, (lambda: self._pass_time(self._chance.choice([1, 10, 95])), 0.1)]

    def _deliver(self) -> None:
        call = self._chance.choice(self.wire.waiting)
        faulty = self._begun < self._requests and self._chance.random() < self._weather
        fault = self._chance.choice(call.faults) if faulty else Fault.NONE
        self._say(f"{call}: {fault}")
        self.auditor.reached[fault] += 1
        self.wire.deliver(call, fault)

    def _land(self) -> None:
        call = self._chance.choice(self.wire.late)
        self._say(f"{call}: lands late")
        self.wire.land(call)

    def _pass_time(self, seconds: float) -> None:
        self.clock.at_ms += max(1, math.ceil(seconds * 1000))

    def _request(self) -> None:
        self._begun += 1
        process = self._chance.choice(self.processes)
        self.start(f"request {self._begun}", process, self.strands.request(process))

    def _flood(self) -> None:
        process = self._chance.choice(self.processes)
        for _ in range(3):
            self._begun += 4
            self.start(f"request {self._begun} and more", process, self.strands.flood(process))

    def _change(self) -> None:
        process = self._chance.choice(self.processes)
        name, work = self.strands.change(process)
        self._say(f"an operator: {name}")
        self.start(f"change {name}", process, work)

    def _sweep(self) -> None:
        process = self._chance.choice(self.processes)
        self.start("sweep", process, self.strands.sweep(process, full=self._chance.random() < 0.1))

    def _kill(self) -> None:
        task, handler = self._chance.choice(list(self.tasks.items()))
        self._say(f"{handler.name} is killed")
        self.auditor.reached[f"killed {handler.name.partition(' ')[0].partition('@')[0]}"] += 1
        handler.dead = True
        self.wire.drop(handler, sent=lambda: self._chance.random() < 0.5)
        task.cancel()

    def _lose_sweep_at(self) -> None:
        open_windows = [name for name, window in self.auditor.windows.items() if window.image.open]
        if open_windows:
            name = self._chance.choice(open_windows)
            self._say(f"{name} loses its sweep_at")
            owner, _, period = name.partition("#")
            self.engine.calls.update_item(
                TableName=self.engine.names.windows,
                Key={"owner": {"S": owner}, "period": {"S": period}},
                UpdateExpression="REMOVE sweep_at",
            )
            self.auditor.lost_sweep_at(name)

    def _reap(self) -> None:
        """Let go of strands that have ended; what went wrong in one ends the simulation."""
        for task in [task for task in self.tasks if task.done()]:
            handler = self.tasks.pop(task)
            if not task.cancelled():
                error = task.exception()
                if error is not None:
                    raise error
            self._say(f"{handler.name} ends")

    def _say(self, what: str) -> None:
        self.trace.append(f"{self.clock.at_ms} {what}")

    def _process(self, name: str) -> Process:
        clock = SkewedClock(self.clock, skews(self._chance))
        return process(name, self.engine, self._client, clock, POLICY, self._chance.getrandbits(32))

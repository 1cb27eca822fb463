"""
The scheduler: whenever all strands of work wait, it chooses what happens next.

A call is delivered, or suffers on its way; a write lands late; time passes; something new begins. Everything is chosen
from one `Chance`, so a seed repeats a history to the letter: `fingerprint` tells whether it did.
"""

import asyncio
import contextvars
import hashlib
import math
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.idle_loop import IdleLoop
from jatevo_testing.simulation.wire import CURRENT, Fault, Handler, Wire

type Act = Callable[[], None]
type Options = list[tuple[Act, float]]

_KEPT_LINES = 20_000
_SHOWN_LINES = 60


class NoRest(AssertionError):
    """A history that does not end: somebody waits for what never comes."""


class Scheduler:
    """
    Runs strands of work until they are done. `weather`: how likely a call suffers. `calm`: calls take no time, so that
    nothing that is to be done in time may be late.

    Who makes a simulation of it says what may begin (`new_work`), for how long (`working`), and what must hold at the
    end (`at_rest`).
    """

    def __init__(
        self, chance: Chance, clock: ManualClock, *, weather: float, most_steps: int, calm: bool = False
    ) -> None:
        self.chance = chance
        self.clock = clock
        self.began_ms = clock.at_ms
        self.weather = weather
        self.calm = calm
        self.loop = IdleLoop(clock)
        self.loop.set_exception_handler(lambda _loop, _context: None)  # what fails is found when it is reaped
        self.wire = Wire()
        self.tasks: dict[asyncio.Task[None], Handler] = {}
        self._ended: list[asyncio.Task[None]] = []
        self.busy: Counter[str] = Counter()
        """How many strands of each kind are under way."""
        self.faults: Counter[str] = Counter()
        self.steps = 0
        self._most_steps = most_steps
        self._quiet = asyncio.Event()
        self.trace: deque[str] = deque(maxlen=_KEPT_LINES)
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def fingerprint(self) -> str:
        """What tells this history from every other."""
        return self._hash.hexdigest()

    def play(self) -> None:
        """Run to rest. Raises AssertionError with the last steps."""
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                self.loop.ask(self._step)
                try:
                    runner.run(self._whole())
                finally:
                    self.loop.ask(None)
        except BaseException as error:
            error.add_note(f"seed {self.chance.seed}, weather {self.weather}; the last steps:")
            for line in list(self.trace)[-_SHOWN_LINES:]:
                error.add_note(f"  {line}")
            raise

    # For who makes a simulation of it.

    @property
    def working(self) -> bool:
        """Whether new work may begin, and calls may suffer."""
        raise NotImplementedError

    def new_work(self) -> Options:
        raise NotImplementedError

    async def at_rest(self) -> None:
        raise NotImplementedError

    def start(self, name: str, process: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a strand of work as a handler of its own."""
        handler = Handler(f"{name}@{process}", process)
        context = contextvars.copy_context()
        context.run(CURRENT.set, handler)
        task = self.loop.create_task(work, name=handler.name, context=context)
        task.add_done_callback(self._ended.append)
        self.tasks[task] = handler
        self.busy[handler.kind] += 1
        return task

    def say(self, what: str) -> None:
        line = f"{self.clock.at_ms} {what}"
        self.trace.append(line)
        self._hash.update(line.encode())

    def pass_time(self, seconds: float) -> None:
        self.clock.at_ms += max(1, math.ceil(seconds * 1000))

    # One step.

    async def _whole(self) -> None:
        await self._quiet.wait()
        await self.at_rest()

    def _step(self, timer_s: float | None) -> None:
        self.steps += 1
        if self.steps >= self._most_steps:
            raise NoRest("this never comes to rest")
        self.chance.next_step()
        if self.wire.finding is not None:
            raise self.wire.finding
        self._reap()
        if not self._quiet.is_set() and not self.working and not self.tasks and not self.wire.late:
            self._quiet.set()
            return
        options = self._options(timer_s)
        if not options:
            raise NoRest("everybody waits for nobody")
        self.chance.weighed(options)()

    def _options(self, timer_s: float | None) -> Options:
        options: Options = []
        if self.wire.waiting:
            options.append((self._deliver, 10))
        if self.wire.late:
            options.append((self._land, 1))
        if timer_s is not None and not (self.calm and self.wire.waiting):
            options.append((lambda: self.pass_time(timer_s), 1))
        return options + self.new_work() if self.working else options

    def _deliver(self) -> None:
        call = self.chance.choice(self.wire.waiting)
        fault = self.chance.choice(call.faults) if self.working and self.chance.happens(self.weather) else Fault.NONE
        self.say(f"{call}: {fault}")
        self.faults[fault] += 1
        self.wire.deliver(call, fault)

    def _land(self) -> None:
        call = self.chance.choice(self.wire.late)
        self.say(f"{call}: lands late")
        self.wire.land(call)

    def _reap(self) -> None:
        """Let go of strands that have ended; what went wrong in one ends the simulation."""
        while self._ended:
            task = self._ended.pop()
            handler = self.tasks.pop(task)
            self.busy[handler.kind] -= 1
            if not task.cancelled():
                error = task.exception()
                if error is not None:
                    raise error
            self.say(f"{handler.name} ends")

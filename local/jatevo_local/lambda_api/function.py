"""
A function: environments that are started when calls come, kept warm, and replaced when they die.

Every environment serves one call at a time. A call finds an idle one, or starts one, or waits for one when there are as
many as the spec allows. (Lambda would throttle it instead.)
"""

import asyncio
import json
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jatevo_local.lambda_api.calls import Call, Failure, Reply
from jatevo_local.lambda_api.environment import Environment
from jatevo_local.lambda_api.spec import FunctionSpec


class LambdaFunction:
    """`logs` is a folder; each environment writes a file there."""

    def __init__(self, spec: FunctionSpec, logs: Path) -> None:
        self.spec = spec
        self._logs = logs
        self._started = 0
        self._living: list[Environment] = []
        self._idle: deque[Environment] = deque()
        self._waiting: deque[Call] = deque()
        self._ends: set[asyncio.Task[None]] = set()

    async def invoke(self, event: dict[str, Any] | bytes) -> Reply | Failure:
        """Run one event; return when the response begins. The reply is to be read or discarded."""
        call = Call(event if isinstance(event, bytes) else json.dumps(event).encode())
        await self.start(call)
        return await call.outcome

    async def start(self, call: Call) -> None:
        """Have a call run, now or when its turn comes."""
        if self._idle:
            self._idle.popleft().give(call)
        elif len(self._living) < self.spec.most_environments:
            await self._start_environment(call)
        else:
            self._waiting.append(call)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Those alive, the oldest first."""
        return tuple(self._living)

    @property
    def cold_starts(self) -> int:
        return self._started

    def log(self) -> str:
        """Return what all environments have written."""
        return "".join(
            path.read_text(errors="replace", newline="") for path in sorted(self._logs.glob(f"{self.spec.name}-*.log"))
        )

    async def stop(self) -> None:
        for call in self._waiting:
            call.settle(Failure("Sandbox.Stopped", {"errorMessage": "the function was stopped"}))
        self._waiting.clear()
        await asyncio.gather(*(environment.stop() for environment in tuple(self._living)))
        await asyncio.gather(*self._ends)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_environment(self, call: Call) -> None:
        self._started += 1
        log = self._logs / f"{self.spec.name}-{self._started}.log"
        environment = Environment(self.spec, log, self._on_idle, self._on_gone)
        self._living.append(environment)
        environment.give(call)
        await environment.start()

    def _on_idle(self, environment: Environment) -> None:
        if environment.api.has_calls:
            return  # a call came before it was ready
        if self._waiting:
            environment.give(self._waiting.popleft())
        else:
            self._idle.append(environment)

    def _on_gone(self, environment: Environment) -> None:
        self._living.remove(environment)
        if environment in self._idle:
            self._idle.remove(environment)
        self._later(environment.stop())
        if self._waiting:
            self._later(self._start_environment(self._waiting.popleft()))

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

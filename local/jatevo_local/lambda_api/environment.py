"""
One execution environment: a real process with Lambda's environment, its Runtime API, and the clock that kills it.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jatevo_local import with_parent
from jatevo_local.lambda_api.calls import Call, Failure, failure_of
from jatevo_local.lambda_api.runtime_api import RuntimeApi
from jatevo_local.lambda_api.spec import FunctionSpec, command, environment
from jatevo_local.processes import signal_group

_STOP_S = 2.0

type Listener = Callable[[Environment], None]


class Environment:
    """
    One at a time. `on_idle` is told when it can take a call, `on_gone` when it never will again.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        log: Path,
        on_idle: Listener,
        on_gone: Listener,
    ) -> None:
        self.spec = spec
        self.log = log
        self._on_idle = on_idle
        self._on_gone = on_gone
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{spec.name}"
        self.api = RuntimeApi(function_arn=arn, timeout_s=spec.timeout_s, on_next=self._asked)
        self._process: asyncio.subprocess.Process | None = None
        self._watch_task: asyncio.Task[None] | None = None
        self._clock_task: asyncio.Task[None] | None = None
        self._timed_out = False
        self._initialised = False
        self._born_s = time.time()
        self.calls = 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        address = await self.api.start()
        stream = f"2026/01/01/[$LATEST]{self.log.stem}"
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", with_parent.__file__, str(os.getpid()), *command(self.spec)],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.spec, runtime_api=address, stream=stream),
                cwd=self.spec.code,
                process_group=0,
            )
        self._watch_task = asyncio.create_task(self._watch())
        self._clock_task = asyncio.create_task(self._keep_time())

    def give(self, call: Call) -> None:
        """Run a call, now or as soon as the process has initialised itself."""
        self.calls += 1
        self.api.give(call)

    async def stop(self) -> None:
        """End it as Lambda does: a signal, two seconds, and no mercy."""
        process = self._process
        if process is not None and process.returncode is None:
            signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_S)
            signal_group(process.pid, signal.SIGKILL)
            await process.wait()
        if self._clock_task is not None and self._watch_task is not None:
            self._clock_task.cancel()
            await asyncio.wait([self._clock_task, self._watch_task])
        await self.api.stop()

    def _asked(self) -> None:
        self._initialised = True
        self._on_idle(self)

    async def _watch(self) -> None:
        """See the process to its end, and tell the caller of a call that dies with it."""
        assert self._process is not None
        await self._process.wait()
        call = self.api.take_back()
        if call is not None:
            call.settle(self._cause_of_death(call))
        self._on_gone(self)

    def _cause_of_death(self, call: Call) -> Failure:
        if self._timed_out:
            message = f"{call.id} Task timed out after {self.spec.timeout_s:.2f} seconds"
            return Failure("Sandbox.Timedout", {"errorMessage": message})
        if self.api.init_error is not None:
            return failure_of(self.api.init_error_kind, self.api.init_error)
        assert self._process is not None
        status = self._process.returncode
        return Failure("Runtime.ExitError", {"errorMessage": f"Runtime exited with status {status}"})

    async def _keep_time(self) -> None:
        while True:
            deadline_s = self.api.deadline_s
            if deadline_s is None and self.api.has_calls and not self._initialised:
                deadline_s = self._born_s + self.spec.init_timeout_s + self.spec.timeout_s
            if deadline_s is not None and time.time() >= deadline_s:
                self._timed_out = True
                signal_group(self.pid, signal.SIGKILL)
                return
            await asyncio.sleep(0.01)

"""
Child processes that are started, watched and ended together.

    with Children(data / "logs") as children:
        engine = children.start(Program("dynoxide", argv, ready=lambda: accepts_connections(port)))
        …

Guarantees:

- `start` returns when the child is ready, or raises `StackError` with one line and leaves nothing running.
- A child that dies afterwards is started again, after a pause that grows while it keeps dying, and one line says so.
- `stop` (also at the end of the `with`) ends all, last started first: SIGTERM to a child's process group, then SIGKILL.
- On Linux no child outlives this process, however it ends (see `with_parent`).
- A terminal's Ctrl-C reaches this process only: each child has a process group of its own.
- Standard output and error go to `NAME.log` under the folder for logs; a log of over `LOG_LIMIT_BYTES` is set aside, as
  `NAME.log.1`, when the child is started.

Each child has a thread that starts it and waits for it, so the thread lives as long as the child does: the kernel ends
a child with the thread that started it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from jatevo_local import with_parent
from jatevo_local.errors import StackError, explain

LOG_LIMIT_BYTES = 10_000_000
READY_POLL_S = 0.02
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """
    What to run. `argv[0]` is a path; `environment` is added to this process's own.
    """

    name: str
    argv: Sequence[str]
    ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = 30.0
    stop_timeout_s: float = 5.0
    restart: bool = True


def pause_before_restart_s(deaths_in_a_row: int) -> float:
    """
    Doubles with each death, up to `LONGEST_PAUSE_S`.
    """
    return float(min(LONGEST_PAUSE_S, SHORTEST_PAUSE_S * 2 ** min(deaths_in_a_row - 1, 16)))


def ending(status: int) -> str:
    """
    How a process ended, in words.
    """
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def say_aloud(line: str) -> None:
    """
    Prints a line at once. Nobody may be left to read it: a child is started again all the same.
    """
    with contextlib.suppress(OSError):
        print(line, flush=True)


class Child:
    """
    One program kept running. Made by `Children.start`.
    """

    def __init__(self, program: Program, log: Path, say: Callable[[str], None]) -> None:
        self.program = program
        self.log = log
        self._say = say
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._failure: StackError | None = None
        self._thread = threading.Thread(target=self._keep_running, name=f"child {program.name}", daemon=True)

    @property
    def pid(self) -> int:
        """
        Of the process that runs now, or of the last one that did.
        """
        if self._process is None:
            raise StackError(f"{self.program.name} is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """
        Ends the process and everything in its group, and returns when it is gone. Does no harm twice.
        """
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            self._end(process)
        if self._thread.ident is not None:
            self._thread.join()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is not None:
            return  # its number may belong to another process by now
        signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.program.stop_timeout_s)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _keep_running(self) -> None:
        deaths_in_a_row = 0
        while not self._stopping.is_set():
            began_at = time.monotonic()
            end = self._run_once()
            if self._stopping.is_set() or self._failure is not None or not self.program.restart:
                break
            deaths_in_a_row = deaths_in_a_row + 1 if time.monotonic() - began_at < STEADY_AFTER_S else 1
            pause_s = pause_before_restart_s(deaths_in_a_row)
            self._say(f"{self.program.name} {end}; starting it again in {pause_s:g} s (see {self.log})")
            self._stopping.wait(pause_s)
        self._started.set()

    def _run_once(self) -> str:
        """
        Runs the program from start to end and says how it ended. The first start's failure is kept for `start`.
        """
        try:
            process = self._spawn()
            if process is None:
                return "was not started"
            self._wait_until_ready(process)
        except StackError as error:
            if not self._started.is_set():
                self._failure = error
            return str(error)
        self._started.set()
        status = process.wait()
        signal_group(process.pid, signal.SIGKILL)  # what it started goes with it
        return ending(status)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        launcher = [sys.executable, "-I", "-S", with_parent.__file__, str(os.getpid())]
        try:
            with self._lock, open_log(self.log) as log:
                if self._stopping.is_set():
                    return None
                self._process = subprocess.Popen(
                    [*launcher, *self.program.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.program.environment},
                    process_group=0,
                )
                return self._process
        except OSError as error:
            raise explain(error, f"starting {self.program.name}") from error

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        gives_up_at = time.monotonic() + self.program.ready_timeout_s
        while True:
            ready = self.program.ready()
            # Asked after the probe: another program may have answered in the place of one that died.
            status = process.poll()
            if status is not None:
                raise StackError(f"{self.program.name} {ending(status)} at its start: {self._last_words()}")
            if ready:
                return
            if time.monotonic() > gives_up_at:
                self._end(process)
                raise StackError(
                    f"{self.program.name} was not ready after {self.program.ready_timeout_s:g} s: {self._last_words()}"
                )
            self._stopping.wait(READY_POLL_S)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"{said} (see {self.log})"


class Children:
    """
    The children of this process, ended together.
    """

    def __init__(self, logs: Path, say: Callable[[str], None] = say_aloud) -> None:
        self._logs = logs
        self._say = say
        self._children: list[Child] = []

    def start(self, program: Program) -> Child:
        """
        Starts `program` and returns when it is ready. Raises `StackError` when it does not come up.
        """
        child = Child(program, self._logs / f"{program.name}.log", self._say)
        self._children.append(child)
        child.start()
        return child

    def stop(self) -> None:
        while self._children:
            self._children.pop().stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def signal_group(pid: int, number: signal.Signals) -> None:
    """
    Signals every process of the group that `pid` leads; none may be left.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)

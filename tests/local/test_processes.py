"""
What `jatevo_local.processes` and `ports` promise, with real processes.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jatevo_local.errors import StackError, explain
from jatevo_local.ports import accepts_connections, answers, free_port, require_free
from jatevo_local.processes import LOG_LIMIT_BYTES, LONGEST_PAUSE_S, Children, Program, pause_before_restart_s

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER


def python(code: str, name: str = "child", **options: object) -> Program:
    return Program(name, [sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def logged(children_logs: Path, text: str, name: str = "child") -> Callable[[], bool]:
    log = children_logs / f"{name}.log"
    return lambda: log.exists() and text in log.read_text()


def wait_until(holds: Callable[[], bool], within_s: float = 10) -> None:
    gives_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < gives_up_at, "it never came to pass"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_start_returns_when_the_child_is_ready(children: Children, tmp_path: Path) -> None:
    up = logged(tmp_path / "logs", "up")
    child = children.start(python(SLEEPER, ready=up))
    assert up()
    assert child.is_running


def test_stop_ends_every_child(children: Children) -> None:
    pids = [children.start(python(SLEEPER, name)).pid for name in ("one", "two")]
    children.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_ignores_sigterm_is_killed(children: Children, tmp_path: Path) -> None:
    ready = logged(tmp_path / "logs", "up")
    child = children.start(python(STUBBORN, ready=ready, stop_timeout_s=0.2))
    children.stop()
    assert not is_alive(child.pid)


def test_what_a_child_started_ends_with_it(children: Children, tmp_path: Path) -> None:
    parent = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).pid);" + SLEEPER
    children.start(python(parent, ready=lambda: (tmp_path / "logs/child.log").read_text().count("up") == 2))
    grandchild = int((tmp_path / "logs/child.log").read_text().replace("up", "").split()[0])
    assert is_alive(grandchild)
    children.stop()
    wait_until(lambda: not is_alive(grandchild))


def test_a_child_that_dies_is_started_again_and_one_line_says_so(children: Children, said: list[str]) -> None:
    child = children.start(python(SLEEPER))
    first = child.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: child.is_running and child.pid != first)
    assert len(said) == 1
    assert said[0].startswith("child killed by SIGKILL; starting it again in 0.1 s")


def test_a_child_that_is_not_to_be_restarted_stays_dead(children: Children, said: list[str]) -> None:
    child = children.start(python(SLEEPER, restart=False))
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not child.is_running)
    children.stop()
    assert said == []


def test_a_child_that_ends_at_its_start_is_an_error_with_its_last_words(children: Children) -> None:
    with pytest.raises(StackError, match=r"child ended with status 3 at its start: no such table \(see .*child\.log\)"):
        children.start(python("import sys; print('no such table'); sys.exit(3)", ready=lambda: False))


def test_a_program_that_does_not_exist_is_an_error(children: Children) -> None:
    with pytest.raises(StackError, match="No such file or directory"):
        children.start(Program("ghost", ["/nowhere/ghost"], ready=lambda: False))


def test_a_child_that_is_never_ready_is_ended_and_an_error(children: Children) -> None:
    with pytest.raises(StackError, match=r"child was not ready after 0\.3 s"):
        children.start(python(SLEEPER, ready=lambda: False, ready_timeout_s=0.3))


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [pause_before_restart_s(deaths) for deaths in range(1, 1000)]
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_large_log_is_set_aside(children: Children, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/child.log").write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))
    children.start(python(SLEEPER, ready=logged(tmp_path / "logs", "up")))
    assert (tmp_path / "logs/child.log.1").stat().st_size == LOG_LIMIT_BYTES + 1
    assert (tmp_path / "logs/child.log").read_text() == "up\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the bond with the parent is Linux's")
def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = f"""
import sys, time
from pathlib import Path
from jatevo_local.processes import Children, Program
child = Children(Path({str(tmp_path)!r})).start(Program("child", [sys.executable, "-c", {SLEEPER!r}]))
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert is_alive(child)
        process.kill()
    wait_until(lambda: not is_alive(child))


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            StackError, match=f"port {port}, wanted for the gateway, is taken; choose another: PORT=8001"
        ):
            require_free(port, purpose="the gateway", remedy="choose another: PORT=8001")


def test_a_free_port_may_be_used() -> None:
    port = free_port()
    require_free(port, purpose="the gateway")
    assert not accepts_connections(port)
    assert not answers(port, "/")


def test_a_full_disk_is_one_clear_line() -> None:
    assert str(explain(OSError(28, "No space left on device"), "starting x")) == "the disk is full (while starting x)"

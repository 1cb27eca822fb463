"""`make run` as a process, for tests that meet the gateway from outside."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from jatevo_local.engine import PROJECT


@dataclass
class Stack:
    """A stack that runs. `printed` is what it has said so far."""

    process: subprocess.Popen[str]
    port: int
    data: Path
    printed: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        found = re.search(r"sk-clb-[\w-]{43}", self.printed)
        assert found, self.printed
        return found.group()

    def client(self, **options: Any) -> openai.OpenAI:
        """Return a client that asks once: with the demo key, unless `api_key` is another."""
        return openai.OpenAI(base_url=f"{self.url}/v1", max_retries=0, **{"api_key": self.key, **options})

    def customer(self, *limits: str) -> openai.OpenAI:
        """Return a client of a new account with the limits of `jatevo admin account create`."""
        account = self.cli("account", "create", "--name", "test", *limits)["account_id"]
        return self.client(api_key=self.cli("key", "create", "--account", account)["key"])

    def children(self) -> dict[int, str]:
        """Return the processes that the stack has started, and the command line of each."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        pids = [int(pid) for task in tasks.iterdir() for pid in _read(task / "children").split()]
        return {pid: _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ") for pid in pids}

    def cli(self, *arguments: str) -> Any:
        """Return the JSON that `jatevo admin … --json` prints."""
        environment = {**os.environ, "JATEVO_URL": self.url, "JATEVO_ADMIN_TOKEN": self.admin_token}
        command = [str(Path(sys.executable).with_name("jatevo")), "admin", *arguments, "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    @property
    def admin_token(self) -> str:
        return (self.data / "admin-token").read_text().strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


def _read(file: Path) -> str:
    """Return what a file of a process says; nothing once the process has ended."""
    try:
        return file.read_text()
    except OSError:
        return ""


def start(port: int, data: Path) -> Stack:
    """Start a stack and return once it is ready, or has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jatevo_local", "--port", str(port), "--data", str(data)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Ctrl-C" in line:
            break
    else:
        process.wait(20)
    process.stdout.close()
    return Stack(process, port, data, printed)

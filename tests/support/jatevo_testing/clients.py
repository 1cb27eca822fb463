"""A gateway as real clients meet it: `make run`'s, an account of a test's own, and what its upstream does."""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jatevo_local.demo import Admin
from jatevo_local.engine import PROJECT
from jatevo_testing.stack import Stack
from jatevo_testing.upstream import Script, ScriptedUpstream, answering, usage

HERE = PROJECT / "tests" / "clients"
CODEX = HERE / "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"
AGENTS_PYTHON = PROJECT / ".tools" / "clients" / "bin" / "python"
_PATIENCE_S = 90
SCRIPTED = {
    "context_window": 200_000,
    "max_output_tokens": 4096,
    "default_output_tokens": 512,
    "price": {"input": "1.00", "cached_input": "0.10", "output": "2.00"},
}


@dataclass
class Shop:
    """A gateway, an account of one test, and what its upstream does."""

    stack: Stack
    upstream: ScriptedUpstream
    admin: Admin
    node: str
    account: str = ""
    key: str = ""

    @property
    def base_url(self) -> str:
        return f"{self.stack.url}/v1"

    def customer(self, **limits: Any) -> None:
        """Take an account of one's own, so that its ledger holds this test's requests alone."""
        made = self.admin.ask(
            "POST", "/accounts", {"name": "client", "requests_per_day": 100, "budget_usd_per_day": "50.00", **limits}
        )
        self.account = made["account_id"]
        self.key = self.admin.ask("POST", f"/accounts/{self.account}/keys", {"name": "client"})["key"]

    def ledger(self) -> list[dict[str, Any]]:
        """Return the day's entries, oldest first."""
        entries: list[dict[str, Any]] = self.admin.ask("GET", f"/accounts/{self.account}/ledger")["entries"]
        return entries

    def charged(self) -> list[tuple[int, int]]:
        """Return input and output tokens of each charged request, oldest first."""
        return [
            (entry["input_tokens"], entry["output_tokens"]) for entry in self.ledger() if entry["outcome"] == "charged"
        ]

    async def run(self, *argv: str, cwd: Path = HERE, **environment: str) -> tuple[int, str]:
        """Run a client to its end; return its exit status and all that it printed."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**self._clean(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, printed.decode()

    async def say(self, *argv: str) -> Any:
        """Run a client that prints one JSON document last, and return that."""
        status, printed = await self.run(*argv)
        assert status == 0, printed
        return json.loads(printed.splitlines()[-1])

    def _clean(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "CODEX", "HTTP"))}
        return {**kept, "OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.key, "NO_PROXY": "127.0.0.1"}


def said(text: str, prompt: int = 10, completion: int = 20) -> Script:
    return answering(text, usage(prompt, completion))

"""Every command in the documents that speaks to a gateway works, against `make run`; of others: tests/unit."""

import asyncio
import datetime as dt
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from jatevo_testing.documents import Command, commands, not_run
from jatevo_testing.owners import EvmPerson
from jatevo_testing.stack import Stack, start
from jatevo_testing.waiting import eventually

from jatevo_cli.main import main
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT
from jatevo_local.ports import free_port

ALL = commands()
LIMITS = ("--requests-per-day", "9", "--budget-usd-per-day", "9")
YESTERDAY = (dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)).date().isoformat()
OTHER_STATUSES = {r"^jatevo wallet unlink": 1, r"admin correct --lane": 1}
"""The last wallet stays, and nobody used a lane yesterday; all else ends with 0."""
FIRST = r"^jatevo (doctor|alarms)"
"""What judges the whole gateway is run before others stop, drain and erase."""
BEFORE = {
    r"admin resume": ("stop", "--reason", "for what follows"),
    r"admin price clear": ("price", "set", "1.00", "--expires", "1h", "--reason", "for what follows"),
}
"""What a command needs to have something to do."""
ALL = commands()
OURS = [one for one in ALL if one.text.startswith("jatevo ")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_command_of_ours_works(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {
        **AWS_ENVIRONMENT,
        "JATEVO_URL": stack.url,
        "JATEVO_ADMIN_TOKEN": stack.admin_token,
        "JATEVO_SESSION_FILE": str(tmp_path / "session.json"),
        "JATEVO_DYNAMODB_ENDPOINT": (stack.data / "engine-url").read_text(),
        "DATA": str(stack.data),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "wallet.key").write_text(bytes(EvmPerson().key.key).hex())
    (tmp_path / "local").mkdir()
    for name in ("local/catalog.toml", "catalog.toml"):
        (tmp_path / name).write_text((PROJECT / "local" / "catalog.toml").read_text())
    monkeypatch.chdir(tmp_path)
    visitor = {"model": "smollm2", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    assert httpx.post(f"{stack.url}/playground/v1/chat/completions", json=visitor, timeout=60).status_code == 200
    assert main(["wallet", "sign-in", "--private-key-file", "wallet.key"]) == 0
    until_the_schedules_have_run(capsys)
    failed, examples = [], Examples(capsys)
    run = [one for one in ALL if one.text.startswith("jatevo ") and not not_run(one)]
    for number, command in enumerate(sorted(run, key=lambda one: re.search(FIRST, one.text) is None)):
        for before in (words for pattern, words in BEFORE.items() if re.search(pattern, command.text)):
            main(["admin", *before])
        capsys.readouterr()
        text = examples.in_place(command, number)
        try:
            status = main(shlex.split(text)[1:])
        except SystemExit as ended:
            status = int(ended.code or 0)
        expected = next((one for pattern, one in OTHER_STATUSES.items() if re.search(pattern, command.text)), 0)
        if status != expected:
            failed.append(f"{command.document}: {text}: {status}: {capsys.readouterr().err[-200:]}")
    assert not failed, "\n".join(failed)


def until_the_schedules_have_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Wait until a stack that has just begun has its price, its snapshot and its audit of yesterday."""

    async def well() -> bool:
        return main(["admin", "audit", "--day", YESTERDAY, "--scheduled"]) == 0 and main(["doctor"]) == 0

    asyncio.run(eventually(well, within_s=60))
    capsys.readouterr()


class Examples:
    """Real things in the places of the documents' examples: an account and a key for each document."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._made: dict[str, tuple[str, str]] = {}

    def in_place(self, command: Command, number: int) -> str:
        text = re.sub(r"\[[^\]]*\]", "", command.text).partition(" > ")[0].partition(" | ")[0]
        text = re.sub(r"20\d\d-\d\d-\d\d", YESTERDAY, text)
        for example, real in (
            (" MODEL", " smollm2"),
            (" POOL", " local"),
            (" north", " local"),
            (" DAY", f" {YESTERDAY}"),
            ("FILE", "local/catalog.toml"),
            ("--lanes gold", "--lanes reserved"),
            ("--lanes acme", "--lanes reserved"),
            ("--lane acme", "--lane reserved"),
            ("--name ada", f"--name ada{number}"),
            ("--prefix jatevo-restored", f"--prefix restored{number}"),
        ):
            text = text.replace(example, real)
        if re.search(r"acct_…|key_…| KEY\b", text):
            account, key = self._of(command, owner=text.startswith(("jatevo wallet", "jatevo key")))
            text = re.sub(r"key_…|\bKEY\b", key, text.replace("acct_…", account))
        return text

    def _of(self, command: Command, *, owner: bool) -> tuple[str, str]:
        """Return an account and a key; new ones for what ends them."""
        name = f"{command.document}{owner}"
        if name not in self._made or re.search(r"erase|disable|rotate|delete", command.text):
            account = "" if owner else self._new("admin", "account", "create", "--name", "x", *LIMITS)["account_id"]
            of = () if owner else ("--account", account)
            self._made[name] = account, self._new(*(() if owner else ("admin",)), "key", "create", *of)["key_id"]
        return self._made[name]

    def _new(self, *arguments: str) -> dict[str, str]:
        assert main([*arguments, "--json"]) == 0, self._capsys.readouterr().err
        made: dict[str, str] = json.loads(self._capsys.readouterr().out)
        return made


@pytest.mark.slow
def test_every_curl_works(stack: Stack, tmp_path: Path) -> None:
    """In the order of the documents: what one answers is what the next is asked with."""
    curls = [one for one in ALL if one.text.startswith("curl ")]
    assert len(curls) > 8
    person, answers = EvmPerson(), dict[str, str]()
    environment = {
        **os.environ,
        "URL": stack.url,
        "KEY": stack.key,
        "url": f"{stack.url}/account/v1",
        "json": "content-type: application/json",
    }
    for command in curls:
        text = command.text.replace("http://127.0.0.1:8000", stack.url).partition(" > ")[0]
        text = text.replace(".local/", f"{stack.data}/").replace("0x…", person.address)
        for name in ("nonce", "signature"):
            text = text.replace(f'"{name}": "…"', f'"{name}": "{answers.get(name)}"')
        done = subprocess.run(
            ["/bin/sh", "-c", f"{text} --fail -sS"],
            env={**environment, "token": answers.get("token", "")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, (command.text, done.stdout + done.stderr)
        if "/auth/" in text and done.stdout.startswith("{"):
            answers |= {name: str(value) for name, value in json.loads(done.stdout).items()}
            answers["signature"] = person.sign(answers["message"])

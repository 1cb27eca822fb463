"""Every command in the documents works: run against `make run` where it can be, else known, and why it is not run."""

import datetime as dt
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from jatevo_testing.owners import EvmPerson
from jatevo_testing.stack import Stack, start

from jatevo_cli.main import main
from jatevo_local.engine import AWS_ENVIRONMENT, PROJECT
from jatevo_local.ports import free_port

DOCUMENTS = [
    *sorted(PROJECT.glob("*.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "docs" / "guides").glob("*.md")),
    PROJECT / "events" / "README.md",
]
LIMITS = ("--requests-per-day", "9", "--budget-usd-per-day", "9")
YESTERDAY = (dt.datetime.now(tz=dt.UTC) - dt.timedelta(days=1)).date().isoformat()
OTHER_STATUSES = {
    r"audit --day \S+ --scheduled": {0, 1},  # the job may not have come to it yet
    r"^jatevo doctor": {0, 1},  # a stack of seconds has no audit yet
    r"^jatevo alarms": {0, 1},
    r"^jatevo wallet unlink": {1},  # the last wallet stays
    r"admin resume": {0, 1},  # 1 where nothing is stopped
    r"admin price clear": {0, 1},  # 1 where no rate is set
    r"admin correct ": {0},
}
NOT_RUN = {
    r"^jatevo doctor --preflight": "asks an AWS account",
    r"^jatevo local": "is what this test runs against",
    r"^(aws|sam|scripts/sam|openssl|podman|docker|apt-get|pip|npm|git|uv) ": "needs AWS, containers or a registry",
    r"^(codex|claude)( |$)": "a client: tests/clients",
    r"^scripts/(walkthrough|lambda-image)|^SELL=8": "tests/local run it by itself",
    r"^(export|cd|kill|while|for|done|do|jatevo=|url=|one=|#|\}|tar|sleep|name=|URL=|KEY=)": "sets a shell up",
    r"^(filter|grep) ": "for Logs Insights, or for logs",
    r"^curl .*(…|\$token|\$url|\$JATEVO|\$TOKEN)": "asks for a signature or a token of its own",
}


@dataclass(frozen=True)
class Command:
    """A command, and where it stands."""

    document: str
    text: str


def commands() -> list[Command]:
    """Return each command of each block of shell, without its remark."""
    found = []
    for path in DOCUMENTS:
        language, block = None, list[str]()
        for line in path.read_text().splitlines():
            fence = re.match(r"\s*```(\w*)\s*$", line)
            if fence and language is None:
                language, block = fence.group(1), []
            elif fence:
                if language == "sh" or (language == "" and any(one.startswith("jatevo ") for one in block)):
                    joined = "\n".join(block).replace("\\\n", " ")
                    found += [Command(path.name, _bare(one)) for one in joined.splitlines() if _bare(one)]
                language = None
            elif language is not None:
                block.append(line.strip())
    return found


def _bare(line: str) -> str:
    line = re.sub(r"(^|\s)#.*$", "", line).strip()
    return re.sub(r"^(\$jatevo|\.venv/bin/jatevo)\b", "jatevo", line)


ALL = commands()
OURS = [one for one in ALL if one.text.startswith("jatevo ")]


def not_run(command: Command) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.text)), None)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    yield running
    if running.process.poll() is None:
        running.stop()


def test_the_documents_have_commands() -> None:
    assert len(OURS) > 80
    assert {"README.md", "runbook.md", "operations.md", "operator.md"} <= {one.document for one in ALL}


@pytest.mark.parametrize(
    "command", [one for one in ALL if one not in OURS], ids=lambda one: f"{one.document}: {one.text}"[:80]
)
def test_other_commands_are_known(command: Command) -> None:
    """What is not the gateway's own is a make target, a script that there is, or known with a reason not to run it."""
    first = shlex.split(command.text)[0]
    if first == "make":
        targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
        assert shlex.split(command.text)[1] in targets
    elif first.startswith("scripts/"):
        assert (PROJECT / first).exists()
    elif not command.text.startswith("curl "):
        assert not_run(command), f"{command.document}: nobody knows whether this works: {command.text}"


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
    failed, examples = [], Examples(capsys)
    for number, command in enumerate(one for one in OURS if not not_run(one)):
        capsys.readouterr()
        text = examples.in_place(command, number)
        try:
            status = main(shlex.split(text)[1:])
        except SystemExit as ended:
            status = int(ended.code or 0)
        expected = next((some for pattern, some in OTHER_STATUSES.items() if re.search(pattern, command.text)), {0})
        if status not in expected:
            failed.append(f"{command.document}: {text}: {status}: {capsys.readouterr().err[-200:]}")
    assert not failed, "\n".join(failed)


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
def test_every_curl_that_needs_a_key_alone_works(stack: Stack, tmp_path: Path) -> None:
    curls = [one for one in ALL if one.text.startswith("curl ") and not not_run(one)]
    assert curls
    for command in curls:
        text = command.text.replace("http://127.0.0.1:8000", stack.url).partition(" > ")[0]
        text = text.replace(".local/", f"{stack.data}/")
        environment = {**os.environ, "URL": stack.url, "KEY": stack.key}
        done = subprocess.run(
            ["/bin/sh", "-c", f"{text} --fail -sS"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, (command.text, done.stdout + done.stderr)

"""Somebody with a wallet and nothing else, at the real gateway: `make run` with its demo chain, over real HTTP."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from jatevo_testing.owners import EvmPerson, SolanaPerson
from jatevo_testing.stack import Stack, start

from jatevo_local.engine import PROJECT
from jatevo_local.ports import free_port


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    yield running
    if running.process.poll() is None:
        running.stop()


class Shell:
    """The command line of one person, whose session is kept in a folder."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.session = folder / "kept" / "session.json"
        self.environment = {**os.environ, "JATEVO_URL": stack.url, "JATEVO_SESSION_FILE": str(self.session)}

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("jatevo")), *arguments]
        return subprocess.run(
            command, env=self.environment, input=stdin, capture_output=True, text=True, check=False, timeout=60
        )

    def json(self, *arguments: str, stdin: str = "") -> Any:
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Shell:
    return Shell(stack, tmp_path)


@pytest.mark.slow
def test_the_walkthrough_walks_through_up_to_a_sale_that_lowers_the_limits(stack: Stack) -> None:
    done = subprocess.run(
        [str(PROJECT / "scripts" / "walkthrough")],
        env={**os.environ, "JATEVO_URL": stack.url, "DATA": str(stack.data), "SELL": "8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counters = re.findall(r"(requests|budget) +(\$?[\d.]+) of (\$?[\d.]+) used", done.stdout)
    assert [counters[0], counters[1]] == [("requests", "0", "11"), ("budget", "$0.00", "$11.00")]
    (_, used, _), (_, spent, _) = counters[2:4]
    assert (used, Decimal(spent[1:]) > 0) == ("1", True)
    assert counters[4:] == [("requests", used, "3"), ("budget", spent, "$3.00")]
    assert "8 tokens went to 0x" in done.stdout
    assert "left a wallet" in done.stdout
    assert '"cost_usd"' in done.stdout
    assert "signed out" in done.stdout
    secret = (stack.data / "chain" / "demo-wallet.key").read_text().strip()
    assert secret not in done.stdout + done.stderr


def test_wallets_of_both_kinds_are_linked_and_unlinked_from_the_command_line(shell: Shell, tmp_path: Path) -> None:
    evm, solana = EvmPerson(), SolanaPerson()
    signed_in = shell.json("wallet", "sign-in", "--private-key-file", "-", stdin=bytes(evm.key.key).hex())
    assert signed_in["wallet"] == evm.wallet
    assert not {"token", "csrf"} & signed_in.keys()
    assert shell.session.stat().st_mode & 0o777 == 0o600
    pair = solana.key.private_bytes_raw() + solana.key.public_key().public_bytes_raw()
    (tmp_path / "solana.json").write_text(json.dumps(list(pair)))
    linked = shell.json("wallet", "link", "--private-key-file", str(tmp_path / "solana.json"))
    assert linked["wallet"] == solana.wallet
    assert len(shell.json("wallet", "list")["wallets"]) == 2
    shell.json("wallet", "unlink", solana.wallet)
    last = shell.run("wallet", "unlink", evm.wallet)
    assert (last.returncode, "last wallet" in last.stderr) == (1, True)
    shell.json("wallet", "sign-out", "--everywhere")
    assert not shell.session.exists()
    again = shell.run("wallet", "list")
    assert (again.returncode, "not signed in" in again.stderr) == (2, True)


def test_keys_are_looked_after_from_the_command_line(shell: Shell) -> None:
    shell.json("wallet", "sign-in", "--private-key-file", "-", stdin=bytes(EvmPerson().key.key).hex())
    made = shell.json("key", "create", "--name", "ci", "--models", "smollm2", "--ip-ranges", "127.0.0.0/8")
    changed = shell.json("key", "set", made["key_id"], "--ip-ranges", "none", "--requests-per-day", "5")
    assert (changed["ip_ranges"], changed["requests_per_day"], changed["models"]) == (None, 5, ["smollm2"])
    nothing = shell.run("key", "set", made["key_id"])
    assert (nothing.returncode, "nothing to set" in nothing.stderr) == (2, True)
    turned = shell.json("key", "rotate", made["key_id"])
    shell.json("key", "disable", turned["key_id"])
    assert {key["enabled"] for key in shell.json("key", "list")["keys"]} == {False}
    for key in (made, turned):
        shell.json("key", "delete", key["key_id"])
    assert shell.json("key", "list") == {"keys": []}
    refused = shell.run("key", "create", "--models", "no-such-model")
    assert (refused.returncode, "no model 'no-such-model'" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "secret", ["", "0x12", "g" * 64, "0" * 64, "[1, 2, 3]", json.dumps([300] * 64), json.dumps([1] * 64)]
)
def test_what_is_no_private_key_is_said_in_one_line_without_it(secret: str, shell: Shell) -> None:
    done = shell.run("wallet", "sign-in", "--private-key-file", "-", stdin=secret)
    assert done.returncode == 2
    assert done.stderr.startswith("jatevo: this is no ")
    assert done.stderr.count("\n") == 1
    assert len(secret) < 3 or secret not in done.stderr


def test_a_session_is_sent_to_no_other_gateway(shell: Shell) -> None:
    shell.json("wallet", "sign-in", "--private-key-file", "-", stdin=bytes(EvmPerson().key.key).hex())
    shell.environment["JATEVO_URL"] = "http://127.0.0.1:9"
    done = shell.run("wallet", "list")
    assert (done.returncode, "not signed in to http://127.0.0.1:9" in done.stderr) == (2, True)


def test_a_text_for_another_site_is_not_signed(shell: Shell, stack: Stack) -> None:
    shell.environment["JATEVO_URL"] = f"http://localhost:{stack.port}"
    done = shell.run("wallet", "sign-in", "--private-key-file", "-", stdin=bytes(EvmPerson().key.key).hex())
    assert (done.returncode, "a text for another site" in done.stderr) == (1, True)


def test_the_real_server_takes_no_forwarded_header_for_the_source(stack: Stack, shell: Shell) -> None:
    shell.json("wallet", "sign-in", "--private-key-file", "-", stdin=bytes(EvmPerson().key.key).hex())
    made = shell.json("key", "create", "--ip-ranges", "203.0.113.0/24")
    for name in ("x-forwarded-for", "forwarded", "x-real-ip"):
        headers = {"authorization": f"Bearer {made['key']}", name: "203.0.113.7"}
        answer = httpx.get(f"{stack.url}/v1/models", headers=headers)
        assert answer.json()["error"]["code"] == "ip_not_allowed"


def test_the_cookie_of_a_plain_http_stack_is_one_that_browsers_keep(stack: Stack) -> None:
    person = EvmPerson()
    with httpx.Client(base_url=f"{stack.url}/account/v1/", headers={"origin": stack.url}) as browser:
        challenge = browser.post("auth/challenge", json={"chain": "evm", "address": person.address}).json()
        proof = {"nonce": challenge["nonce"], "signature": person.sign(challenge["message"])}
        answer = browser.post("auth/verify", json=proof)
        assert answer.headers["set-cookie"].startswith("jatevo-session=jts-")
        assert "Secure" not in answer.headers["set-cookie"]
        assert browser.get("keys").json() == {"keys": []}
        assert browser.post("keys", json={}).status_code == 403
        csrf = browser.get("auth/session").json()["csrf"]
        assert browser.post("keys", json={}, headers={"x-csrf-token": csrf}).status_code == 201
        assert browser.post("auth/logout", headers={"x-csrf-token": csrf}).status_code == 204
        assert browser.get("keys").status_code == 401

"""
What a fresh stack has to show: the catalogue applied, a demo account and its key.

All of it goes through the admin API, as an operator would do it. The key is kept in `DATA/demo.json`, readable by its
owner only, so that a second start can print it again: this is a key of this machine, for this machine.
"""

import json
import time
import tomllib
from pathlib import Path
from typing import Any

import httpx

from jatevo_local.errors import StackError, explain

REQUESTS_PER_DAY = 11
BUDGET_USD_PER_DAY = "11.00"


class Admin:
    """The admin API, spoken as an operator."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=f"{url}/admin/v1", headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON. Raises StackError with the gateway's own words."""
        answer = self.try_to_ask(method, path, body)
        if answer.is_error:
            raise StackError(f"{method} {path}: {_reason(answer)}")
        return answer.json()

    def try_to_ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StackError(f"the gateway does not answer: {error}") from error

    def close(self) -> None:
        self._client.close()


def apply_catalogue(admin: Admin, file: Path) -> None:
    """Apply a catalogue file. It makes a new version only when something changed."""
    try:
        document = tomllib.loads(file.read_text())
    except OSError as error:
        raise explain(error, f"reading {file.name}") from error
    except tomllib.TOMLDecodeError as error:
        raise StackError(f"{file.name} is not TOML: {error}") from error
    admin.ask("PUT", "/catalog", {"document": document})


def demo_key(admin: Admin, file: Path) -> str:
    """Return the demo account's key: the one kept in `file` while its account exists, else a new one."""
    kept = _kept(file)
    if kept is not None and admin.try_to_ask("GET", f"/accounts/{kept['account_id']}").is_success:
        return kept["key"]
    account = admin.ask(
        "POST",
        "/accounts",
        {"name": "demo", "requests_per_day": REQUESTS_PER_DAY, "budget_usd_per_day": BUDGET_USD_PER_DAY},
    )
    key = admin.ask("POST", f"/accounts/{account['account_id']}/keys", {"name": "demo"})
    write_private(file, json.dumps({"account_id": account["account_id"], "key": key["key"]}))
    return str(key["key"])


def wait_for_price(admin: Admin, patience_s: float = 20.0) -> None:
    """Return once the token has its first price, or after `patience_s` without: who signs in before gets no budget."""
    until = time.monotonic() + patience_s
    while admin.ask("GET", "/price")["price_usd"] is None and time.monotonic() < until:
        time.sleep(0.1)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    try:
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(text)
    except OSError as error:
        raise explain(error, f"writing {file}") from error


def _kept(file: Path) -> dict[str, str] | None:
    try:
        kept: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return kept if {"account_id", "key"} <= kept.keys() else None


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"

"""What each `jatevo wallet` and `jatevo key` command does: one request or a few, and how the answer reads."""

import argparse
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jatevo_cli import session, text
from jatevo_cli.api import REFUSED, USAGE, Api, CommandError, path, url_from
from jatevo_cli.commands import PAGE, Shown
from jatevo_cli.wallet_keys import WalletKey, read_key

_KEY_FIELDS = (
    "name",
    "models",
    "ip_ranges",
    "requests_per_day",
    "budget_usd_per_day",
    "concurrency",
    "expires_at_unix_s",
)


def sign_in(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("auth/verify", _json(_proof(api, read_key(options.private_key_file), link=False)))
    file = session.keep(answer)
    shown = {name: value for name, value in answer.items() if name not in {"token", "csrf"}}
    return Shown(
        {**shown, "session_file": str(file)},
        f"signed in to {answer['account_id']} until {text.instant(answer['expires_at_unix_s'])}",
    )


def sign_out(api: Api, options: argparse.Namespace) -> Shown:
    api.post("auth/logout?all=true" if options.everywhere else "auth/logout")
    session.forget()
    return Shown({"signed_out": True}, "signed out everywhere" if options.everywhere else "signed out")


def wallet_list(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.get("wallets")
    rows = ((wallet["wallet"], text.instant(wallet["linked_at_unix_s"])) for wallet in answer["wallets"])
    return Shown(answer, text.table(("wallet", "linked"), rows, "no wallets"))


def wallet_link(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post("wallets", _json(_proof(api, read_key(options.private_key_file), link=True)))
    return Shown(answer, f"linked {answer['wallet']}")


def wallet_unlink(api: Api, options: argparse.Namespace) -> Shown:
    api.delete(path("wallets", options.wallet))
    return Shown({"unlinked": options.wallet}, f"unlinked {options.wallet}")


def budget(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.get("budget")
    today, limits, entitlement = answer["today"], answer["limits"], answer["entitlement"]
    lines = [
        f"requests  {today['requests_used']} of {limits['requests_per_day']} used",
        f"budget    ${today['budget_spent_usd']} of ${limits['budget_usd_per_day']} used",
        f"resets    {answer['resets_at']}",
    ]
    if entitlement is not None:
        lines += [entitlement["explanation"], *(why["message"] for why in entitlement["why"])]
    return Shown(answer, "\n".join(lines))


def usage(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.get("usage", by=options.by, days=options.days)
    rows = (
        (each["label"], each["requests"], each["total_tokens"], f"${each['charge_usd']}") for each in answer["sums"]
    )
    return Shown(answer, text.table((options.by, "requests", "tokens", "charge"), rows, "nothing was used"))


def ledger(api: Api, options: argparse.Namespace) -> Shown:
    """Show every decision of a day, whichever number of pages it takes."""
    if options.csv:
        return Shown(None, _ledger_csv(api, options.day))
    entries: list[Any] = []
    cursor: str | None = None
    while True:
        page = api.get("ledger", day=options.day, cursor=cursor, limit=PAGE)
        entries += page["entries"]
        cursor = page["next"]
        if cursor is None:
            break
    rows = (
        (
            entry["at"],
            entry["key_name"] or entry["key_id"],
            entry["model"],
            entry["outcome"],
            entry["input_tokens"],
            entry["output_tokens"],
            f"${entry['charge_usd']}",
        )
        for entry in entries
    )
    header = ("at", "key", "model", "outcome", "input tokens", "output tokens", "charge")
    return Shown({"entries": entries}, text.table(header, rows, "nothing was decided"))


def _ledger_csv(api: Api, day: str | None) -> str:
    whole, cursor = api.page("ledger", format="csv", day=day, limit=PAGE)
    while cursor is not None:
        more, cursor = api.page("ledger", format="csv", day=day, limit=PAGE, cursor=cursor)
        whole += more.partition("\r\n")[2]  # each page begins with the header
    return whole.replace("\r\n", "\n").rstrip("\n")


def key_list(api: Api, _options: argparse.Namespace) -> Shown:
    answer = api.get("keys")
    rows = (
        (
            key["key_id"],
            key["name"],
            f"{key['prefix']}…",
            key["enabled"],
            key["today"]["requests"],
            f"${key['today']['charge_usd']}",
            text.instant(key["last_used_at_unix_s"]),
        )
        for key in answer["keys"]
    )
    header = ("key", "name", "begins", "enabled", "requests today", "charge today", "last used")
    return Shown(answer, text.table(header, rows, "no keys"))


def key_create(api: Api, options: argparse.Namespace) -> Shown:
    return _shown_once(api.post("keys", _json(_key_fields(options))))


def key_set(api: Api, options: argparse.Namespace) -> Shown:
    change = _key_fields(options)
    if not change:
        raise CommandError(USAGE, "nothing to set: name at least one of the key's limits")
    answer = api.patch(path("keys", options.key), _json(change))
    return Shown(answer, f"{answer['key_id']} is changed")


def key_rotate(api: Api, options: argparse.Namespace) -> Shown:
    return _shown_once(api.post(path("keys", options.key, "rotate"), _json({"overlap_s": options.overlap_s})))


def key_disable(api: Api, options: argparse.Namespace) -> Shown:
    answer = api.post(path("keys", options.key, "disable"))
    return Shown(answer, f"{answer['key_id']} is disabled")


def key_delete(api: Api, options: argparse.Namespace) -> Shown:
    api.delete(path("keys", options.key))
    return Shown({"deleted": options.key}, f"{options.key} is deleted")


def _proof(api: Api, key: WalletKey, *, link: bool) -> dict[str, str]:
    """Return the signature of a challenge, which must be a text for the very gateway that was asked."""
    challenge = api.post("auth/challenge", _json({"chain": key.chain, "address": key.address, "link": link}))
    site = urlsplit(url_from(os.environ)).netloc
    if not challenge["message"].startswith(f"{site} wants you to sign in with your "):
        raise CommandError(
            REFUSED, f"the gateway gave a text for another site than {site}: set JATEVO_URL to its public address"
        )
    return {"nonce": challenge["nonce"], "signature": key.sign(challenge["message"])}


def _shown_once(answer: Mapping[str, Any]) -> Shown:
    return Shown(answer, str(answer["key"]), (f"{answer['key_id']}: this key is not shown again",))


def _key_fields(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _KEY_FIELDS if hasattr(options, name)}


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()

"""The commands and options of `jatevo wallet` and `jatevo key`, for people and scripts that own a wallet."""

import argparse
from collections.abc import Callable

from jatevo_cli import owner_commands as run
from jatevo_cli import session, values
from jatevo_cli.api import Api
from jatevo_cli.commands import Shown

_ABOUT = """\
{purpose}

environment:
  JATEVO_URL            the gateway's public address (default http://127.0.0.1:8000)
  JATEVO_SESSION_FILE   where the session is kept (default ~/.config/jatevo/session.json)
  JATEVO_SESSION        a session's token, instead of the file
"""
type Groups = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def add_groups(groups: Groups) -> None:
    """Add both groups of commands."""
    wallet = _group(groups, "wallet", "Sign in with a wallet; the wallets, budget and usage of your account.")
    sign_in = _command(wallet, "sign-in", run.sign_in, "prove that you control a wallet", connect=session.anonymous)
    _private_key(sign_in)
    sign_out = _command(wallet, "sign-out", run.sign_out, "end this session")
    sign_out.add_argument("--everywhere", action="store_true", help="and every other one of the account")
    _command(wallet, "list", run.wallet_list, "list the account's wallets")
    _private_key(_command(wallet, "link", run.wallet_link, "add a wallet to the account"))
    _command(wallet, "unlink", run.wallet_unlink, "take one away").add_argument("wallet", metavar="WALLET")
    _command(wallet, "budget", run.budget, "show today's limits, and why they are what they are")
    usage = _command(wallet, "usage", run.usage, "sum up what was used")
    usage.add_argument("--by", default="day", help="day, model, key, or several: day,model (default day)")
    usage.add_argument("--days", type=values.whole, default=30, metavar="N", help="how many, today included")
    ledger = _command(wallet, "ledger", run.ledger, "show every decision of a day, and what it cost")
    ledger.add_argument("--day", type=values.day, metavar="DAY", help="a UTC day such as 2026-11-23 (default today)")
    ledger.add_argument("--csv", action="store_true", help="print it for a spreadsheet")
    _keys(_group(groups, "key", "The API keys of your account."))


def _keys(key: Groups) -> None:
    _command(key, "list", run.key_list, "list the account's keys and what they did today")
    _key_limits(_command(key, "create", run.key_create, "create a key; it is shown this once"))
    change = _command(key, "set", run.key_set, "change a key's own limits; none removes one")
    change.add_argument("key", metavar="KEY")
    _key_limits(change)
    rotate = _command(key, "rotate", run.key_rotate, "make a new key like this one, and stop this one")
    rotate.add_argument("key", metavar="KEY")
    rotate.add_argument("--overlap-s", type=values.whole, default=0, metavar="SECONDS", help="how long both work")
    for name, does, purpose in (
        ("disable", run.key_disable, "stop a key at once and for good"),
        ("delete", run.key_delete, "stop a key and remove it"),
    ):
        _command(key, name, does, purpose).add_argument("key", metavar="KEY")


def _key_limits(command: argparse.ArgumentParser) -> None:
    """Add a key's own limits. What is left out leaves no trace, so that a change holds only what was given."""
    left_out = argparse.SUPPRESS
    command.add_argument("--name", default=left_out)
    command.add_argument("--models", type=values.names_or_none, default=left_out, metavar="A,B")
    command.add_argument("--ip-ranges", type=values.names_or_none, default=left_out, metavar="CIDR,CIDR")
    command.add_argument("--requests-per-day", type=values.whole_or_none, default=left_out, metavar="N")
    command.add_argument("--budget-usd-per-day", type=values.usd_or_none, default=left_out, metavar="USD")
    command.add_argument("--concurrency", type=values.whole_or_none, default=left_out, metavar="N")
    command.add_argument(
        "--expires", type=values.instant_or_none, default=left_out, dest="expires_at_unix_s", metavar="WHEN"
    )


def _group(groups: Groups, name: str, purpose: str) -> Groups:
    group = groups.add_parser(
        name,
        help=purpose[0].lower() + purpose[1:].rstrip("."),
        description=_ABOUT.format(purpose=purpose),
    )
    return group.add_subparsers(metavar="COMMAND", required=True)


def _command(
    group: Groups,
    name: str,
    does: Callable[[Api, argparse.Namespace], Shown],
    purpose: str,
    *,
    connect: Callable[[], Api] = session.signed_in,
) -> argparse.ArgumentParser:
    command = group.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
    command.set_defaults(run=does, connect=connect)
    command.add_argument("--json", action="store_true", help="print the gateway's own JSON, for scripts")
    return command


def _private_key(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--private-key-file",
        required=True,
        metavar="FILE",
        help="hexadecimal (EVM) or what solana-keygen writes; - for standard input",
    )

"""The commands and options of `jatevo`, with their help."""

import argparse
from collections.abc import Callable, Mapping
from types import MappingProxyType

from jatevo_cli import books, commands, owner_parser, prices, routes, service, values
from jatevo_cli.api import Api, target_from
from jatevo_cli.explained import explained
from jatevo_cli.programs import PURPOSES, Program

_DESCRIPTION = """\
Use and operate a Jatevo Gateway.

  jatevo wallet …  sign in with a wallet; wallets, budget and usage of your account
  jatevo key …     your account's API keys
  jatevo admin …   accounts, keys, the catalogue and the books of a running gateway
  jatevo local …   run the whole gateway on this machine (`make run` does the same)
  jatevo alarms    say which alarms hold now, on this machine
  jatevo tables …  back up, restore and migrate the tables of a gateway
  jatevo completion bash|zsh: what makes your shell complete these commands
  jatevo doctor    say what is not well, and what to do; --preflight: what would make a deploy fail
"""
_ADMIN = """\
Administer a running gateway.

environment:
  JATEVO_URL           the gateway (default http://127.0.0.1:8000)
  JATEVO_ADMIN_TOKEN   the operator's token; without it, for a gateway on this machine, the token that `make run`
                       wrote to $DATA/admin-token (DATA is .local by default)
"""
type Command = Callable[..., commands.Shown]


def parser(programs: Mapping[str, Program] = MappingProxyType({})) -> argparse.ArgumentParser:
    """
    Return the parser of the whole command line, with the options of these programs: of others it knows the names alone.
    What an admin command does is in its option `run`.
    """
    top = argparse.ArgumentParser(prog="jatevo", description=_DESCRIPTION)
    groups = top.add_subparsers(metavar="{wallet,key,admin,local,alarms,tables,completion,doctor}", required=True)
    owner_parser.add_groups(groups)
    for name, purpose in PURPOSES.items():
        program = groups.add_parser(name, help=purpose, add_help=name in programs)
        if name in programs:
            programs[name].add_options(program)
    admin = groups.add_parser(
        "admin",
        help="administer a running gateway",
        description=_ADMIN,
    )
    admin.set_defaults(connect=lambda: Api(target_from()))
    admin.add_argument("--json", action="store_true", help="print the gateway's own JSON, for scripts")
    topics = admin.add_subparsers(metavar="TOPIC", required=True)
    _catalog(_topic(topics, "catalog", "the models, prices and pools"))
    _account(_topic(topics, "account", "accounts and their limits"))
    _key(_topic(topics, "key", "API keys and their own limits"))
    window = _topic(topics, "window", "what is left, settled and held of a day")
    _of_day(_command(window, "show", commands.window_show, "show an account's windows of a day"))
    ledger = _topic(topics, "ledger", "how requests ended and what they cost")
    listing = _command(ledger, "list", commands.ledger_list, "list an account's ledger entries of a day")
    _of_day(listing)
    listing.add_argument(
        "--limit", type=values.whole, default=commands.PAGE, help="most entries to list (default 1000)"
    )
    listing.add_argument("--after", metavar="RESERVATION", help="continue after this reservation")
    statement = _topic(topics, "statement", "what a day came to: cost, margin, charge, exposure")
    sums = _command(statement, "show", commands.statement_show, "show an account's sums of a day, by model or key")
    _of_day(sums)
    sums.add_argument("--by", choices=("model", "key"), default="model", help="default: model")
    _books(topics, statement)
    sweeper = _command(topics, "sweep", commands.sweep, "end reservations that have expired, now")
    sweeper.add_argument("--full", action="store_true", help="look at every window, not only at those that are due")
    _holdings(topics)
    _operator(_topic(topics, "operator", "who may administer"))
    _routes(topics)
    _service(topics)
    _grant(topics)
    _price(_topic(topics, "price", "the token's price, and where it comes from"))
    return explained(top)


def _books(topics: "Subparsers", statement: "Subparsers") -> None:
    of_all = _command(statement, "day", books.statement_day, "show what each account came to on a day, and all of them")
    of_all.add_argument("--day", type=values.day, help="a UTC day such as 2026-11-23 (default: today)")
    of_all.add_argument("--csv", action="store_true", help="print comma-separated values, for a spreadsheet")
    audit = _command(topics, "audit", books.audit, "recompute a day's windows from the ledger")
    audit.add_argument("--day", type=values.day, required=True, help="a UTC day such as 2026-11-23")
    audit.add_argument("--account", metavar="ID", help="of this account only (default: of all)")
    audit.add_argument("--scheduled", action="store_true", help="show what the schedule found, lanes included")
    correct = _command(topics, "correct", books.correct, "give windows that differ the counters that the ledger makes")
    whose = correct.add_mutually_exclusive_group(required=True)
    whose.add_argument("--account", metavar="ID", default=argparse.SUPPRESS)
    whose.add_argument("--lane", metavar="ID", default=argparse.SUPPRESS, help="a lane's window of a finished day")
    correct.add_argument("--day", type=values.day, required=True)
    correct.add_argument("--reason", required=True, help="why; kept for good")
    listed = _command(topics, "corrections", books.correction_list, "list the corrections of an account or a lane")
    _by_id(listed, "account").add_argument("--lane", metavar="ID", default=argparse.SUPPRESS)


def _holdings(topics: "Subparsers") -> None:
    refresh = _command(topics, "refresh", commands.refresh, "look again at what wallets hold, and renew limits from it")
    refresh.add_argument(
        "account", nargs="?", metavar="ACCOUNT", help="of this account only (default: all active ones)"
    )
    snapshot = _topic(topics, "snapshot", "what all holders hold at one moment: what a day counts by")
    _command(snapshot, "now", commands.snapshot_now, "take one more snapshot at once; days that have one keep theirs")


type Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no public name


def _topic(parent: Subparsers, name: str, purpose: str) -> Subparsers:
    topic = parent.add_parser(name, help=purpose, description=_sentence(purpose))
    return topic.add_subparsers(metavar="COMMAND", required=True)


def _command(parent: Subparsers, name: str, run: Command, purpose: str) -> argparse.ArgumentParser:
    """Add a command; options that are left out leave no trace, so that changes hold only what was given."""
    command = parent.add_parser(name, help=purpose, description=_sentence(purpose))
    command.set_defaults(run=run)
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the gateway's own JSON")
    return command


def _sentence(purpose: str) -> str:
    return f"{purpose[0].upper()}{purpose[1:]}."


def _catalog(topic: Subparsers) -> None:
    apply = _command(topic, "apply", commands.catalog_apply, "put a catalogue file in force and print what changes")
    apply.add_argument("file", metavar="FILE", help="a TOML file such as local/catalog.toml; - reads standard input")
    apply.add_argument("--dry-run", action="store_true", help="only check the file and print what would change")
    show = _command(topic, "show", commands.catalog_show, "show the catalogue in force")
    show.add_argument("--version", type=values.whole, help="an earlier version")


def _account(topic: Subparsers) -> None:
    create = _command(topic, "create", commands.account_create, "create an account")
    create.add_argument("--name", required=True)
    create.add_argument("--requests-per-day", type=values.whole, required=True, metavar="N")
    create.add_argument("--budget-usd-per-day", type=values.usd, required=True, metavar="USD", help='such as "11.00"')
    create.add_argument("--concurrency", type=values.whole, default=argparse.SUPPRESS, metavar="N")
    create.add_argument("--margin-bps", type=values.whole, default=argparse.SUPPRESS, metavar="BPS")
    _quotas(create)
    _lanes(create)
    _by_id(_command(topic, "show", commands.account_show, "show an account"), "account")
    change = _command(topic, "set", commands.account_set, "change an account; open windows follow at once")
    _by_id(change, "account")
    change.add_argument("--name", default=argparse.SUPPRESS)
    change.add_argument("--requests-per-day", type=values.whole, default=argparse.SUPPRESS, metavar="N")
    change.add_argument("--budget-usd-per-day", type=values.usd, default=argparse.SUPPRESS, metavar="USD")
    change.add_argument("--concurrency", type=values.whole, default=argparse.SUPPRESS, metavar="N")
    change.add_argument("--margin-bps", type=values.whole_or_none, default=argparse.SUPPRESS, metavar="BPS|default")
    change.add_argument(
        "--limits-from",
        choices=("holdings", "operator"),
        default=argparse.SUPPRESS,
        help="holdings: its wallets' tokens set the day's limits from now on; operator: it keeps those it has",
    )
    _quotas(change)
    _lanes(change)
    switch = change.add_mutually_exclusive_group()
    for flag, value in (("--enable", True), ("--disable", False)):
        switch.add_argument(flag, action="store_const", const=value, dest="enabled", default=argparse.SUPPRESS)
    _command(topic, "list", commands.account_list, "list all accounts")
    erase = _command(topic, "erase", commands.account_erase, "erase what is known of its owner; the books stay")
    _by_id(erase, "account")
    erase.add_argument("--yes", action="store_true", required=True, help="there is no way back")


def _quotas(command: argparse.ArgumentParser) -> None:
    """Limits beside those of the day; none removes one."""
    left_out = argparse.SUPPRESS
    for name in ("--requests-per-minute", "--requests-per-month"):
        command.add_argument(name, type=values.whole_or_none, default=left_out, metavar="N|none")
    command.add_argument("--budget-usd-per-month", type=values.usd_or_none, default=left_out, metavar="USD|none")
    _reseller(command)


def _reseller(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reseller-margin-bps",
        type=values.whole_or_none,
        default=argparse.SUPPRESS,
        metavar="BPS|none",
        help="what users of resold keys pay on top of what the account pays",
    )


def _grant(topics: Subparsers) -> None:
    left_out = argparse.SUPPRESS
    give = _command(topics, "grant", commands.grant, "add to an account's prepaid balance, once for each id")
    _by_id(give, "account")
    give.add_argument("--id", dest="grant_id", required=True, metavar="ID", help="your own, such as an invoice's")
    give.add_argument("--amount-usd", type=values.usd, required=True, metavar="USD", help='such as "25.00"')
    give.add_argument("--reason", required=True, help="why; kept for good")
    give.add_argument("--correction", action="store_true", default=left_out, help="take the amount back instead")
    give.add_argument(
        "--not-after",
        type=values.instant,
        dest="not_after_unix_s",
        default=left_out,
        metavar="WHEN",
        help="refuse it if it is carried out later than this",
    )
    _by_id(_command(topics, "grants", commands.grant_list, "show an account's balance and its grants"), "account")


def _lanes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--lanes",
        type=values.names_or_empty,
        default=argparse.SUPPRESS,
        metavar="A,B|none",
        help="reserved lanes it may use",
    )
    keeping = command.add_mutually_exclusive_group()
    for flag, value in (("--zdr", True), ("--no-zdr", False)):
        keeping.add_argument(
            flag,
            action="store_const",
            const=value,
            dest="zdr",
            default=argparse.SUPPRESS,
            help="only upstreams that keep nothing" if value else "any upstream",
        )


def _key(topic: Subparsers) -> None:
    create = _command(topic, "create", commands.key_create, "create an API key; it is shown this once")
    create.add_argument("--account", required=True, metavar="ID")
    _key_limits(create, "all, unless")
    change = _command(topic, "set", commands.key_set, "change a key's own limits; none removes one")
    _by_id(change, "key")
    _key_limits(change, "or all; so far")
    listing = _command(topic, "list", commands.key_list, "list an account's keys")
    _by_id(listing, "account")
    _by_id(_command(topic, "disable", commands.key_disable, "stop a key at once and for good"), "key")


def _key_limits(command: argparse.ArgumentParser, models: str) -> None:
    left_out = argparse.SUPPRESS
    command.add_argument("--name", default=left_out)
    command.add_argument(
        "--models",
        type=values.names_or_none,
        default=left_out,
        metavar="A,B",
        help=f"models it may use ({models} named)",
    )
    command.add_argument(
        "--lanes",
        type=values.names_or_none,
        default=left_out,
        metavar="A,B",
        help="of its account's reserved lanes, those it may use (all, unless named)",
    )
    command.add_argument("--requests-per-day", type=values.whole_or_none, default=left_out, metavar="N")
    command.add_argument("--budget-usd-per-day", type=values.usd_or_none, default=left_out, metavar="USD")
    command.add_argument("--concurrency", type=values.whole_or_none, default=left_out, metavar="N")
    command.add_argument(
        "--expires",
        type=values.instant_or_none,
        default=left_out,
        dest="expires_at_unix_s",
        metavar="WHEN",
        help="a day (2026-12-31), an instant (2026-12-31T18:00:00Z), a time from now (30d, 12h), or never",
    )
    _reseller(command)
    command.add_argument("--labels", type=values.labels, default=left_out, metavar="A=X,B=Y|none")


def _routes(topics: Subparsers) -> None:
    left_out = argparse.SUPPRESS
    _command(topics, "routes", routes.show, "show every route, its health and the lanes that use it")
    _command(topics, "lanes", routes.lanes, "show every lane, what it promises, and how much of it is in use")
    dry = _command(topics, "route", routes.show, "say how a request would be routed, and why; nothing is sent")
    dry.add_argument("--model", required=True, metavar="ID", help="a model, lane/model or auto")
    dry.add_argument("--lane", default=left_out, metavar="ID")
    dry.add_argument("--key", dest="key_id", default=left_out, metavar="ID", help="for this key (default: for anybody)")
    dry.add_argument("--input-bytes", type=values.whole, default=left_out, metavar="N")
    dry.add_argument("--output-tokens", type=values.whole, default=left_out, metavar="N")
    dry.add_argument("--images", type=values.whole, default=left_out, metavar="N")
    dry.add_argument("--fields", type=values.names, default=left_out, metavar="A,B", help="fields its body has")
    dry.add_argument("--prompt-cache-key", default=left_out, metavar="KEY")
    dry.add_argument("--zdr", action="store_true", default=left_out, help="nothing of it may be kept upstream")
    pool = _topic(topics, "pool", "upstreams, in and out of use")
    for name, run, purpose in (
        ("drain", routes.drain, "take a pool out of use; requests under way end"),
        ("undrain", routes.undrain, "put a pool back into use"),
    ):
        _command(pool, name, run, purpose).add_argument("pool", metavar="POOL")
    trail = _command(topics, "changes", routes.changes, "list what operators changed, the latest first")
    trail.add_argument("--month", help="a month such as 2026-11 (default: this one)")
    trail.add_argument("--limit", type=values.whole, default=100)


def _service(topics: Subparsers) -> None:
    _command(topics, "service", service.show, "say whether requests are taken, and what the day has come to")
    for name, run, purpose in (
        ("stop", service.stop, "take no more requests, of anybody; those under way end"),
        ("resume", service.resume, "take requests again"),
        ("ceiling", service.ceiling, "set what a day may cost at most, margins included, before requests are stopped"),
    ):
        command = _command(topics, name, run, purpose)
        command.add_argument("--reason", required=True, help="why; kept in the audit trail, shown to operators only")
        if name == "ceiling":
            command.add_argument(
                "usd",
                type=values.usd_or_none,
                metavar="USD|none",
                help='such as "250.00"; 0: none at all; none: that of the settings',
            )


def _operator(topic: Subparsers) -> None:
    create = _command(topic, "create", commands.operator_create, "create an operator; the token is shown this once")
    create.add_argument("--name", required=True)
    _command(topic, "list", commands.operator_list, "list all operators")
    disable = _command(topic, "disable", commands.operator_disable, "stop an operator's token")
    disable.add_argument("name", metavar="NAME")


def _price(topic: Subparsers) -> None:
    _command(topic, "show", prices.show, "show the price, its state, and what each source says")
    rate = _command(topic, "set", prices.set_rate, "set a rate that overrides the sources for a time")
    rate.add_argument("price_usd", type=values.usd, metavar="USD", help='of a whole token, such as "0.0025"')
    rate.add_argument(
        "--expires",
        type=values.instant,
        required=True,
        dest="expires_at_unix_s",
        metavar="WHEN",
        help="a day (2026-12-31), an instant (2026-12-31T18:00:00Z), or a time from now (12h, 3d)",
    )
    clear = _command(topic, "clear", prices.clear_rate, "end the rate: the sources count again")
    for command in (rate, clear):
        command.add_argument("--reason", required=True, help="why; kept for good")
    history = _command(topic, "history", prices.history, "list decisions, the latest first")
    history.add_argument("--limit", type=values.whole, default=20, help="most decisions to list (default 20)")
    history.add_argument("--audit", action="store_true", help="only what operators did")


def _of_day(command: argparse.ArgumentParser) -> None:
    _by_id(command, "account")
    command.add_argument("--day", type=values.day, help="a UTC day such as 2026-11-23 (default: today)")


def _by_id(command: argparse.ArgumentParser, what: str) -> argparse._MutuallyExclusiveGroup:
    """Take an id either by its place or as an option. Returns the group, for what may stand in its place."""
    one = command.add_mutually_exclusive_group(required=True)
    one.add_argument(what, nargs="?", metavar="ID", default=argparse.SUPPRESS)
    one.add_argument(f"--{what}", dest=what, metavar="ID", default=argparse.SUPPRESS)
    return one

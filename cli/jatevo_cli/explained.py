"""
What every `--help` ends with: examples, and what the exit status says. Data, in one place; parsers take it from here.

A command shows the examples that begin with its own words; a group of commands, the first of each of them.
"""

import argparse
from collections.abc import Iterator

_STATUS = "0 done, 1 refused by the gateway, 2 wrong usage, 3 gateway not reachable"
_OTHER_STATUSES = {
    "jatevo": "0 done, 1 refused or not well, 2 wrong usage, 3 not reachable; each command says it more exactly",
    "jatevo local": "0 stopped, 1 it could not be started, 2 wrong usage",
    "jatevo alarms": "0 no alarm holds, 1 one does, 2 wrong usage",
    "jatevo doctor": "0 well or ready to deploy, 1 something is to be done, 2 wrong usage, 3 not reachable",
    "jatevo tables": "0 done, 1 refused, 2 wrong usage, 3 tables not reachable",
    "jatevo completion": "0 done, 2 wrong usage",
    "jatevo admin audit": "0 the books agree, 1 a window differs or refused, 2 wrong usage, 3 gateway not reachable",
}
"""By the command, or the group of which it is one."""

EXAMPLES = """\
jatevo wallet sign-in --private-key-file wallet.key
jatevo wallet sign-out --everywhere
jatevo wallet list
jatevo wallet link --private-key-file other.key
jatevo wallet unlink eip155:0x52908400098527886E0F7030069857D2E4169EE7
jatevo wallet budget
jatevo wallet usage --by day,model --days 7
jatevo wallet ledger --day 2026-11-23 --csv > ledger.csv
jatevo key list --json
jatevo key create --name laptop --models smollm2 --budget-usd-per-day 5 --expires 30d
jatevo key set key_… --ip-ranges 203.0.113.0/24 --requests-per-day none
jatevo key rotate key_… --overlap-s 3600
jatevo key disable key_…
jatevo key delete key_…
jatevo local --port 8001 --data .local
jatevo local --lambda
jatevo alarms
jatevo alarms --json
jatevo tables backup jatevo.backup --prefix jatevo --region eu-central-1
jatevo tables restore jatevo.backup --local
jatevo tables migrate --prefix jatevo
jatevo completion bash > ~/.local/share/bash-completion/completions/jatevo
jatevo completion zsh > ~/.zfunc/_jatevo
jatevo doctor
jatevo doctor --preflight --stack jatevo --region eu-central-1
jatevo admin catalog apply local/catalog.toml --dry-run
jatevo admin catalog show --version 3
jatevo admin account create --name Ada --requests-per-day 1000 --budget-usd-per-day 25.00
jatevo admin account show acct_…
jatevo admin account set acct_… --requests-per-minute 60 --lanes gold
jatevo admin account set acct_… --disable
jatevo admin account list
jatevo admin account erase acct_… --yes
jatevo admin key create --account acct_… --name laptop --models smollm2 --budget-usd-per-day 5 --expires 30d
jatevo admin key set key_… --requests-per-day none --labels customer=ada
jatevo admin key list acct_…
jatevo admin key disable key_…
jatevo admin window show --account acct_… --day 2026-11-23
jatevo admin ledger list --account acct_… --day 2026-11-23 --json
jatevo admin statement show acct_… --by key
jatevo admin statement day --day 2026-11-23 --csv > day.csv
jatevo admin audit --day 2026-11-23
jatevo admin audit --day 2026-11-23 --scheduled
jatevo admin correct --account acct_… --day 2026-11-23 --reason 'counter restored from the ledger'
jatevo admin correct --lane gold --day 2026-11-23 --reason 'counter restored from the ledger'
jatevo admin corrections acct_…
jatevo admin sweep --full
jatevo admin refresh acct_…
jatevo admin snapshot now
jatevo admin operator create --name ada
jatevo admin operator list
jatevo admin operator disable ada
jatevo admin routes
jatevo admin lanes
jatevo admin route --model auto --input-bytes 20000
jatevo admin route --model gold/smollm2 --key key_… --images 1
jatevo admin pool drain north
jatevo admin pool undrain north
jatevo admin changes --month 2026-11 --limit 20
jatevo admin service
jatevo admin stop --reason 'books differ'
jatevo admin resume --reason 'they agree again'
jatevo admin ceiling 250.00 --reason 'a busy day'
jatevo admin grant acct_… --id invoice-7 --amount-usd 20.00 --reason 'paid'
jatevo admin grants acct_…
jatevo admin price show
jatevo admin price set 0.0025 --expires 12h --reason 'sources down'
jatevo admin price clear --reason 'sources are back'
jatevo admin price history --audit --limit 50
""".splitlines()


def explained(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Give a parser, and the parsers of all commands below it, the end of their help. Returns the parser."""
    for one in every(parser):
        shown = "\n".join(f"  {example}" for example in _examples(one))
        one.epilog = f"examples:\n{shown}\n\nexit status: {_status(one.prog)}"
        one.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def every(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, and those of all commands below it."""
    yield parser
    for below in _below(parser):
        yield from every(below)


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - there is no public way to a parser's commands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            yield from action.choices.values()


def _examples(parser: argparse.ArgumentParser) -> list[str]:
    below = list(_below(parser))
    if below:
        return [example for one in below for example in _of(one.prog)[:1]]
    return _of(parser.prog)


def _of(command: str) -> list[str]:
    return [example for example in EXAMPLES if f"{example} ".startswith(f"{command} ")]


def _status(command: str) -> str:
    words = command.split()
    names = (" ".join(words[:length]) for length in range(len(words), 1, -1))
    return next((_OTHER_STATUSES[name] for name in (command, *names) if name in _OTHER_STATUSES), _STATUS)

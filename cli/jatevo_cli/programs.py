"""
Commands that import what no other command needs: each is a module of its own, loaded when it is named.

Two of them are the local stack's, which installations that only administer a gateway do not have.
"""

import argparse
import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from jatevo_cli.api import CommandError

_WRONG_USAGE = 2


class Program(Protocol):
    """What such a module has."""

    def add_options(self, parser: argparse.ArgumentParser, /) -> None:
        """Give a parser its description and its options."""
        ...

    def run(self, options: argparse.Namespace, /) -> int:
        """Do it, and return the exit status."""
        ...


PURPOSES: Mapping[str, str] = {
    "local": "run the whole gateway on this machine",
    "alarms": "say which alarms of the template hold now, on this machine",
    "tables": "back up, restore and migrate the tables of a gateway",
    "completion": "print what makes bash or zsh complete these commands",
    "doctor": "say what is not well, or would make a deploy fail",
}
_MODULES = {
    "local": "jatevo_local.__main__",
    "alarms": "jatevo_local.alarms",
    "tables": "jatevo_cli.tables",
    "completion": "jatevo_cli.completion",
    "doctor": "jatevo_cli.doctor",
}


def loaded(name: str) -> Program:
    """Return a program. Raises CommandError where it is not installed."""
    try:
        return cast("Program", importlib.import_module(_MODULES[name]))
    except ModuleNotFoundError as error:
        line = f"what `jatevo {name}` needs is not installed here ({error.name} is missing)"
        raise CommandError(_WRONG_USAGE, line) from error


def all_loaded() -> dict[str, Program]:
    """Return the programs that are installed here."""
    found = {}
    for name in PURPOSES:
        try:
            found[name] = loaded(name)
        except CommandError:
            continue
    return found

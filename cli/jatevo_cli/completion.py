"""`jatevo completion`: what makes a shell complete our commands and options, made from their parsers."""

import argparse

import shtab

from jatevo_cli.parser import parser
from jatevo_cli.programs import all_loaded


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the shell's name."""
    parser.description = "Print what makes a shell complete this program's commands and options."
    parser.add_argument("shell", choices=["bash", "zsh"])


def run(options: argparse.Namespace) -> int:
    """Print it."""
    print(shtab.complete(parser(all_loaded()), shell=options.shell))
    return 0

"""
Entry point of the `jatevo` command.

Exit status: 0 done, 1 refused by the gateway, 2 wrong usage, 3 gateway not reachable. What scripts read goes to
standard output, everything else to standard error.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from jatevo_cli import programs
from jatevo_cli.api import CommandError
from jatevo_cli.parser import parser

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        name = arguments[0] if arguments else ""
        program = programs.loaded(name) if name in programs.PURPOSES else None
        options = parser({} if program is None else {name: program}).parse_args(arguments)
        return _administer(options) if program is None else program.run(options)
    except CommandError as error:
        print("\n".join((f"jatevo: {error.lines[0]}", *error.lines[1:])), file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as with `| head`: nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _administer(options: argparse.Namespace) -> int:
    api = options.connect()
    try:
        shown = options.run(api, options)
    finally:
        api.close()
    print(json.dumps(shown.data, indent=2, ensure_ascii=False) if options.json else shown.text, flush=True)
    for note in shown.notes:
        print(note, file=sys.stderr)
    status: int = shown.status
    return status

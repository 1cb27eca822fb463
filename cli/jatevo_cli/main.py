"""
Entry point of the `jatevo` command.

Exit status: 0 done, 1 refused by the gateway, 2 wrong usage, 3 gateway not reachable. What scripts read goes to
standard output, everything else to standard error.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jatevo_cli.api import CommandError
from jatevo_cli.parser import parser

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    program = _PROGRAMS.get(arguments[0]) if arguments else None
    if program is not None:
        return program(arguments[1:])
    options = parser().parse_args(arguments)
    try:
        return _administer(options)
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


def _local(arguments: Sequence[str]) -> int:
    """Run the local stack."""
    sys.argv = ["jatevo local", *arguments]
    return _of_local_stack("jatevo_local.__main__", lambda module: module.main())


def _alarms(arguments: Sequence[str]) -> int:
    """Judge the alarms of the template by what the local stack has measured."""
    return _of_local_stack("jatevo_local.alarms", lambda module: module.main(arguments))


def _of_local_stack(name: str, run: Callable[[Any], int]) -> int:
    """Run a module of the local stack, which deployed installations do not have."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(f"jatevo: the local stack is not installed here ({error.name} is missing)", file=sys.stderr)
        return 2
    return run(module)


def _completion(arguments: Sequence[str]) -> int:
    """Print what makes a shell complete our commands: `eval "$(jatevo completion bash)"`."""
    import shtab  # noqa: PLC0415 - it alone needs it

    asking = argparse.ArgumentParser(
        prog="jatevo completion",
        description="Print what makes a shell complete this program's commands and options.",
        epilog='examples:\n  eval "$(jatevo completion bash)"\n  jatevo completion zsh > ~/.zfunc/_jatevo',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asking.add_argument("shell", choices=["bash", "zsh"])
    print(shtab.complete(parser(), shell=asking.parse_args(arguments).shell))
    return 0


def _tables(arguments: Sequence[str]) -> int:
    from jatevo_cli import tables  # noqa: PLC0415 - it alone needs boto3

    return tables.main(arguments)


def _doctor(arguments: Sequence[str]) -> int:
    from jatevo_cli import doctor  # noqa: PLC0415 - it alone needs boto3

    return doctor.main(arguments)


_PROGRAMS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "local": _local,
    "alarms": _alarms,
    "completion": _completion,
    "doctor": _doctor,
    "tables": _tables,
}
"""What reads its own arguments, and imports what nothing else needs."""

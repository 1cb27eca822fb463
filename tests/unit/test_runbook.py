"""Every command that the runbook tells somebody to type is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from jatevo_cli.parser import parser

_TEXT = (Path(__file__).parents[2] / "docs/runbook.md").read_text()
_TYPED = re.findall(r"`(jatevo admin [^`]+)`", _TEXT) + re.findall(r"^(jatevo admin .+)$", _TEXT, re.MULTILINE)
COMMANDS = sorted({re.sub(r"\s+", " ", command.partition(" #")[0]).strip() for command in _TYPED})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_runbook_is_one(command: str) -> None:
    options = parser().parse_args(shlex.split(command)[1:])
    assert callable(options.run)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 20

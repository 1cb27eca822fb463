"""Every `--help` shows how a command is used, with examples that it takes, and says what its exit status means."""

import re
import shlex

import pytest

from jatevo_cli.explained import EXAMPLES, every
from jatevo_cli.main import main
from jatevo_cli.parser import parser
from jatevo_cli.programs import all_loaded

WHOLE = parser(all_loaded())
COMMANDS = [one.prog for one in every(WHOLE)]


def typed(example: str) -> list[str]:
    """Return the arguments of an example, without where its output goes."""
    return shlex.split(example.partition(" > ")[0])[1:]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_that_are_taken_and_says_the_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split()[1:], "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    examples = re.findall(r"^  (jatevo .+)$", shown.partition("\nexamples:\n")[2], re.MULTILINE)
    assert examples
    for example in examples:
        assert f"{example} ".startswith(f"{command} ")
        WHOLE.parse_args(typed(example))
    assert re.search(r"^exit status: 0 .+, [12] .+$", shown, re.MULTILINE)


def test_every_example_is_of_a_command_that_there_is() -> None:
    for example in EXAMPLES:
        assert any(example.startswith(f"{command}") for command in COMMANDS if command.count(" ")), example
        WHOLE.parse_args(typed(example))
    assert len(set(EXAMPLES)) == len(EXAMPLES)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 70
    assert {"jatevo local", "jatevo alarms", "jatevo tables backup", "jatevo doctor"} <= set(COMMANDS)

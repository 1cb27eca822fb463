"""Commands in the documents that no test runs are known, with the reason, and right as far as can be told offline."""

import json
import re
import shlex
import subprocess

import botocore.session
import pytest
from botocore import xform_name
from jatevo_testing.documents import NOT_RUN, asked_of_aws, commands, not_run

from jatevo_cli.parser import parser
from jatevo_cli.programs import all_loaded
from jatevo_local.engine import PROJECT

ALL = commands()
ASKED_OF_AWS = asked_of_aws()
OF_EVERY_AWS_COMMAND = {"region", "profile", "output", "query", "no-cli-pager"}
_SAM = """
import json, sys
import click
from samcli.cli.main import cli

for words in json.load(sys.stdin):
    command, context = cli, click.Context(cli, info_name="sam", obj="loads commands")
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0)) or sys.exit(f"no such command: {words}")
        context = click.Context(command, info_name=command.name, parent=context)
    try:
        command.make_parser(context).parse_args(words)
    except click.UsageError as error:
        sys.exit(f"{command.name}: {error.format_message()}")
"""


def test_the_documents_have_commands() -> None:
    assert len(ALL) > 120
    assert {"README.md", "runbook.md", "operations.md", "operator.md"} <= {one.document for one in ALL}


def test_every_command_is_of_the_gateway_or_known() -> None:
    """What is not the gateway's own is a make target, a script that there is, or known with a reason not to run it."""
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for command in ALL:
        words = command.text.split()
        if words[0] == "make":
            assert words[1] in targets, command
        elif words[0].startswith("scripts/"):
            assert (PROJECT / words[0]).exists(), command
        elif words[0] not in {"jatevo", "curl"}:
            assert not_run(command), f"nobody knows whether this works: {command}"


@pytest.mark.parametrize("why", dict.fromkeys(NOT_RUN.values()))
def test_what_is_not_run_has_a_reason(why: str) -> None:
    """Tells, of each reason, whom it keeps from being run."""
    kept = [one for one in ALL if not_run(one) == why] or [one for one in ASKED_OF_AWS if not_run(one) == why]
    assert kept, "a reason that no command needs"
    pytest.skip(f"not run, because {why}: " + "; ".join(f"{one.document}: {one.text[:50]}" for one in kept))


def test_commands_of_ours_that_are_not_run_are_taken() -> None:
    kept = [one for one in ALL if one.text.startswith("jatevo ") and not_run(one)]
    assert kept
    for command in kept:
        parser(all_loaded()).parse_args(shlex.split(command.text)[1:])


@pytest.mark.parametrize("text", [one.text for one in ASKED_OF_AWS], ids=lambda text: text[:40])
def test_a_command_of_aws_is_an_operation_with_these_options(text: str) -> None:
    """By the models that botocore has of AWS's services, of which the AWS CLI makes its commands."""
    _, service, operation, *_ = text.split()
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in names, text
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None
    given = set(re.findall(r" --([a-z-]+)", text)) - OF_EVERY_AWS_COMMAND
    of_operation = {xform_name(member, "-"): of for member, of in shape.members.items()}
    assert {option.removeprefix("no-") if option not in of_operation else option for option in given} <= set(
        of_operation
    )
    assert {xform_name(member, "-") for member in shape.required_members} <= given
    for option, value in re.findall(r" --([a-z-]+) ([A-Za-z]+)\b", text):
        allowed = getattr(of_operation.get(option), "enum", [])
        assert not allowed or value in allowed


def test_a_command_of_sam_has_options_that_sam_takes() -> None:
    lines = [shlex.split(one.text.partition(" | ")[0])[1:] for one in ALL if one.text.startswith("scripts/sam ")]
    assert len(lines) > 3
    python = PROJECT / ".tools/sam/bin/python"
    subprocess.run([PROJECT / "scripts/sam"], check=True)  # installs it on first use
    done = subprocess.run([python, "-c", _SAM], input=json.dumps(lines), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

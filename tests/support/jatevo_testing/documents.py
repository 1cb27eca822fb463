"""The commands that the documents tell somebody to type, and why some of them are run by no test."""

import re
from dataclasses import dataclass

from jatevo_local.engine import PROJECT

DOCUMENTS = [
    *sorted(PROJECT.glob("*.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "docs" / "guides").glob("*.md")),
    PROJECT / "events" / "README.md",
]
NOT_RUN = {
    r"^jatevo doctor --preflight": "it asks an AWS account; tests/unit/test_doctor.py asks a stub of one",
    r"^jatevo local": "it is what tests/local and tests/lambda start",
    r"^aws ": "it asks AWS; held against botocore's models of its services",
    r"^scripts/sam ": "it needs AWS or containers; held against the parser of SAM itself",
    r"^(podman|apt-get) ": "it needs containers, or to be root",
    r"^(codex|claude)( |$)": "a client: tests/clients",
    r"^scripts/(walkthrough|lambda-image)|^SELL=8": "tests/local run it by itself",
    r"^(export|kill|while|done|jatevo=|url=|one=|KEY=)": "it sets a shell up, or is a part of a loop",
    r"^(filter|grep) ": "a query for Logs Insights, which is on AWS",
}
"""By what a command looks like: why it is not run where the others are, and what is shown of it instead."""


_ASKED_OF_AWS = re.compile(r"(?:^|[`(])(aws [^`)]+?)(?:[`)]|\n(?!--))", re.MULTILINE)
"""To the end of the line, of the code or of the brackets; options may go on in the next line."""


@dataclass(frozen=True)
class Command:
    """A command, and where it stands."""

    document: str
    text: str


def commands() -> list[Command]:
    """Return each command of each block of shell, without its remark."""
    found = []
    for path in DOCUMENTS:
        language, block = None, list[str]()
        for line in path.read_text().splitlines():
            fence = re.match(r"\s*```(\w*)\s*$", line)
            if fence and language is None:
                language, block = fence.group(1), []
            elif fence:
                if language == "sh" or (language == "" and any(one.startswith("jatevo ") for one in block)):
                    joined = "\n".join(block).replace("\\\n", " ")
                    found += [Command(path.name, _bare(one)) for one in joined.splitlines() if _bare(one)]
                language = None
            elif language is not None:
                block.append(line.strip())
    return found


def _bare(line: str) -> str:
    line = re.sub(r"(^|\s)#.*$", "", line).strip()
    return re.sub(r"^(\$jatevo|\.venv/bin/jatevo)\b", "jatevo", line)


def asked_of_aws() -> list[Command]:
    """Return each `aws …`, wherever it stands: in a block, in the text, or within another command."""
    texts = {path.name: path.read_text().replace("\\\n", " ") for path in DOCUMENTS}
    found = {(name, one) for name, text in texts.items() for one in _ASKED_OF_AWS.findall(text)}
    return [Command(name, re.sub(r"\s+", " ", one)) for name, one in sorted(found)]


def not_run(command: Command) -> str | None:
    """Return why a command is not run; None: it is."""
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command.text)), None)

"""
What the processes of the local stack have measured: the lines that they write for CloudWatch, read back.

Each writes a file of its own, `<process>.jsonl`, and puts a full one aside as `<process>.jsonl.1`.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jatevo.adapters.telemetry.emf import emf_line
from jatevo.adapters.telemetry.lines import FileLines


@dataclass(frozen=True, slots=True)
class Points:
    """Values of one metric of one line. `dimensions`: of the series they belong to, one of the line's."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    at_ms: int
    values: tuple[float, ...]


class Tail:
    """Reads what has been written since it was asked last; at first, all there is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[int, int] = {}

    def points(self) -> Iterator[Points]:
        """Yield what is new, file by file. A line that is not whole yet is read the next time."""
        for path in sorted(self._folder.glob("*.jsonl*")):
            with path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(self._read.get(inode, 0))
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read[inode] = self._read.get(inode, 0) + len(line)
                    yield from points_in(json.loads(line))


def points_in(line: Mapping[str, Any]) -> Iterator[Points]:
    """Yield the points of a line, as CloudWatch makes them of it: for each set of dimensions, each metric."""
    at_ms: int = line["_aws"]["Timestamp"]
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, str(line[name])) for name in names)
            for metric in directive["Metrics"]:
                found = line[metric["Name"]]
                values = tuple(found) if isinstance(found, list) else (found,)
                yield Points(directive["Namespace"], metric["Name"], dimensions, at_ms, values)


class InPlaceOfAws:
    """
    Writes what AWS's services would measure where the local stack stands in for them, under their names. A resource
    is named as in the template.
    """

    def __init__(self, path: Path) -> None:
        self._write = FileLines(path)

    def answered(self, status: int, at_ms: int) -> None:
        """API Gateway's: an answer, and whether it was a server's error."""
        values = {"Count": ("Count", 1), "5XXError": ("Count", int(status >= 500))}
        self._write(emf_line("AWS/ApiGateway", {"ApiName": "jatevo", "Stage": "prod"}, values, at_ms))

    def dead_letters(self, queue: str, waiting: int, at_ms: int) -> None:
        """SQS's: how many runs that failed wait in a queue."""
        values = {"ApproximateNumberOfMessagesVisible": ("Count", waiting)}
        self._write(emf_line("AWS/SQS", {"QueueName": queue}, values, at_ms))

"""What a process would write into its log and its metrics, in the very forms that Lambda's log gets."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jatevo.adapters.telemetry.logs import OURS, set_up_logs


class Logbook:
    """Everything that was written, as text and as parsed lines."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self.handler = logging.StreamHandler(self._text)

    def write(self, line: str) -> None:
        """Take a line of metrics."""
        self._text.write(line + "\n")

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "request_id" in line]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "_aws" in line]

    def total(self, metric: str, **labels: str) -> int:
        """Return the sum of a metric, of one label or of all."""
        return sum(
            sum(found) if isinstance(found := line[metric], list) else found
            for line in self.metrics
            if metric in line and labels.items() <= line.items()
        )


@contextmanager
def logbook(level: str = "DEBUG", form: str = "json") -> Iterator[Logbook]:
    """Keep what is logged meanwhile; afterwards logs are as they were."""
    root, book = logging.getLogger(), Logbook()
    before = {name: logging.getLogger(name).level for name in OURS}
    level_before, handlers = root.level, root.handlers[:]
    root.handlers[:] = [book.handler]
    try:
        set_up_logs(form, level)
        yield book
    finally:
        root.handlers[:] = handlers
        root.setLevel(level_before)
        for name, was in before.items():
            logging.getLogger(name).setLevel(was)

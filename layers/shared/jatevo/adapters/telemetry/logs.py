"""
Log records as lines: JSON for machines, or text for a terminal.

Guarantees, at every level: one record is one line; what others' code logs is heard from warnings on, its first line
only, because libraries write headers and bodies at lower levels; of an exception its types and places are told, and its
text only where that is this product's own; whatever looks like a key, a token or a session is cut out of every line.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

OURS = (
    "jatevo",
    "jatevo_account",
    "jatevo_admin",
    "jatevo_holdings",
    "jatevo_inference",
    "jatevo_local",
    "jatevo_price_oracle",
    "jatevo_site",
    "jatevo_sweeper",
    "lambda_response_stream",
)
"""The packages whose records are told at the level that is set."""
FORMATS = ("json", "text")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_SECRET = re.compile(r"(sk-|jts-|jto-|[Bb]earer )[A-Za-z0-9._~+/=-]{6,}")
"""Keys, ours and upstreams', sessions, operators' tokens."""
_MARKS = ("sk-", "jts-", "jto-", "earer ")
"""One of these is in every line that holds a secret: looking for them is quicker than for the whole form."""
_ENCODED = json.JSONEncoder(separators=(",", ":"), default=str).encode
_LONGEST_FOREIGN = 300
_LONGEST_TRACE = 30
"""Places of one exception that are told: the innermost."""


def set_up_logs(form: str, level: str) -> None:
    """Have every record written in one form, by the handlers there are: Lambda's, or one to standard error."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
    formatter = JsonLines() if form == "json" else TextLines()
    for handler in root.handlers:
        handler.setFormatter(formatter)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level)


class JsonLines(logging.Formatter):
    """One JSON object a record: when, how grave, by whom, what; then the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": f"{_instant(record.created)}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        if invocation := getattr(record, "aws_request_id", None):
            line["invocation"] = invocation
        if fields := getattr(record, "fields", None):
            line |= fields
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = list(_told(record.exc_info[1]))
        return without_secrets(_ENCODED(line))


class TextLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{_instant(record.created)} {record.levelname} {record.name} {_message(record)}"
        if fields := getattr(record, "fields", None):
            text += "".join(f" {name}={_short(value)}" for name, value in fields.items())
        if record.exc_info and record.exc_info[1] is not None:
            text += " | " + " | ".join(_told(record.exc_info[1]))
        return without_secrets(text.replace("\n", " "))


def without_secrets(text: str) -> str:
    """Return a text without what looks like a secret; its beginning stays, to be recognised."""
    return _SECRET.sub(r"\1…", text) if any([mark in text for mark in _MARKS]) else text  # noqa: C419 - quicker so


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name.partition(".")[0] in OURS:
        return message
    return message.partition("\n")[0][:_LONGEST_FOREIGN]


def _instant(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_s))


def _told(error: BaseException) -> Iterator[str]:
    """Yield what is told of an exception and of those behind it, the last one first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        kind = type(current)
        told = f"{kind.__module__}.{kind.__qualname__}"
        if kind.__module__.partition(".")[0] in OURS:
            told += f": {current}"
        places = traceback.extract_tb(current.__traceback__)[-_LONGEST_TRACE:]
        yield told + "".join(f" < {_place(frame)}" for frame in reversed(places))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}"


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + " ".join(f"{name}={_short(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(one) for one in value) + "]"
    return str(value)

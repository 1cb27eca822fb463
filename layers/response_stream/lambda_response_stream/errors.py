"""
Errors as Lambda wants them: a type, `Category.Reason`, and a JSON body of at most 4 kB once it is base64.
"""

import base64
import json
import traceback
from typing import NamedTuple

_MOST_KIND_BYTES = 200
_MOST_MESSAGE_BYTES = 1000
_MOST_STACK_BYTES = 1500


class InitError(Exception):
    """The environment cannot serve. The message is one line that says what to change."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class InvocationError(Exception):
    """An invocation cannot be answered, or not to its end."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ErrorReport(NamedTuple):
    """An error on its way to Lambda."""

    kind: str
    message: str
    stack: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The error in one line of a log."""
        return f"{self.kind}: {' '.join(self.message.split())}"

    def json(self) -> bytes:
        """The body of Lambda's error calls."""
        body = {"errorMessage": self.message, "errorType": self.kind, "stackTrace": list(self.stack)}
        return json.dumps(body).encode()

    def base64(self) -> bytes:
        """The same, as a trailer carries it."""
        return base64.b64encode(self.json())


def report(error: BaseException) -> ErrorReport:
    """Describe an error, its own kind for ours and its class's name for others."""
    kind = error.kind if isinstance(error, InitError | InvocationError) else type(error).__name__
    return ErrorReport(_cut(kind, _MOST_KIND_BYTES), _cut(str(error), _MOST_MESSAGE_BYTES), _stack(error))


def where(error: BaseException) -> str:
    """The file and line that an error came from, "" when it has none."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _cut(text: str, most_bytes: int) -> str:
    """The beginning of a text, as much of it as fits in JSON, where one character takes up to twelve bytes."""
    text = text[:most_bytes]
    while (excess := _json_bytes(text) - most_bytes) > 0:
        text = text[: -(excess // 12 + 1)]
    return text


def _json_bytes(text: str) -> int:
    return len(json.dumps(text)) - len('""')


def _stack(error: BaseException) -> tuple[str, ...]:
    """The innermost frames, as many as fit."""
    kept: list[str] = []
    room = _MOST_STACK_BYTES
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        text = f"{frame.filename}:{frame.lineno} {frame.name}"
        room -= _json_bytes(text) + len('"", ')
        if room < 0:
            break
        kept.append(text)
    return tuple(reversed(kept))

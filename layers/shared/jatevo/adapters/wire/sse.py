"""Server-sent events: an incremental parser of `data:` frames, and the frames the gateway writes."""

from typing import Any

from jatevo.adapters.json_text import json_bytes

DONE = b"data: [DONE]\n\n"
HEARTBEAT = b": keep-alive\n\n"
_LONGEST_FRAME = 4 * 1024 * 1024


class FrameTooLong(ValueError):
    """An upstream sent megabytes without ending a frame."""


class SseParser:
    """
    Splits a byte stream into the `data` of its events, whatever way it is cut into chunks.

    Comments and other fields are dropped; lines may end in LF or CRLF.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that this chunk completes. Raises FrameTooLong."""
        self._rest += chunk
        lines: list[bytes] = []
        if b"\n" in chunk:  # else nothing is complete, and a long line is not looked through again and again
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        events: list[bytes] = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._data_bytes += len(line)
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
                self._data_bytes = 0
        if self._data_bytes + len(self._rest) > _LONGEST_FRAME:
            raise FrameTooLong
        return events


def frame(value: Any) -> bytes:
    """Return the event whose data is `value` as JSON."""
    return b"data: " + json_bytes(value) + b"\n\n"

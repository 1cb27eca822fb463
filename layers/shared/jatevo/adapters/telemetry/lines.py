"""Where lines of metrics go: standard output, which is a function's log, or a file that never grows without end."""

import os
import sys
import threading
from pathlib import Path

_LARGEST_FILE = 16 * 1024 * 1024


def to_standard_output(line: str) -> None:
    """Write a line in one piece."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class FileLines:
    """Appends lines to a file; one that is full is put aside as `<name>.1`, in the place of the one before."""

    def __init__(self, path: Path, largest: int = _LARGEST_FILE) -> None:
        self._path = path
        self._largest = largest
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0

    def __call__(self, line: str) -> None:
        data = (line + "\n").encode()
        with self._lock:
            if self._file >= 0 and self._size + len(data) > self._largest:
                os.close(self._file)
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._file = -1
            if self._file < 0:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self._size = os.fstat(self._file).st_size
            self._size += os.write(self._file, data)

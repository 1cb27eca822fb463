"""One stack per data folder: two engines on one file would ruin it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jatevo_local.errors import StackError, explain


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises StackError while another process holds it; the lock ends with its holder."""
    try:
        file = (folder / "lock").open("w")
    except OSError as error:
        raise explain(error, f"writing in {folder}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(f"another stack runs on {folder}; end it, or choose another: make run DATA=…") from error
        yield

"""
SnapStart: what runs before a snapshot is taken and after one is restored, as the managed runtime does it.

Hooks are those registered with `snapshot_restore_py`, which Lambda's Python runtimes carry. They run in the thread of
the event loop; what a hook returns is awaited if it can be.
"""

import importlib
import inspect
from collections.abc import Iterable
from typing import Any

from lambda_response_stream.errors import InitError, report
from lambda_response_stream.runtime_api import RuntimeApi

type Hook = tuple[Any, tuple[Any, ...], dict[str, Any]]


class RestoreError(Exception):
    """A hook failed after a restore."""


async def snapshot_and_restore(api: RuntimeApi) -> None:
    """Return in the restored environment. Raises InitError before the snapshot, RestoreError after it."""
    before, after = _hooks()
    try:
        await _run(reversed(before))
    except Exception as error:
        raise InitError("Runtime.BeforeSnapshotError", report(error).line) from error
    await api.restore_next()
    try:
        await _run(after)
    except Exception as error:
        raise RestoreError(report(error).line) from error


def _hooks() -> tuple[list[Hook], list[Hook]]:
    try:
        snapshot_restore_py = importlib.import_module("snapshot_restore_py")
    except ImportError:
        return [], []
    return list(snapshot_restore_py.get_before_snapshot()), list(snapshot_restore_py.get_after_restore())


async def _run(hooks: Iterable[Hook]) -> None:
    for function, arguments, named in hooks:
        result = function(*arguments, **named)
        if inspect.isawaitable(result):
            await result

"""Stands in for Lambda's package of that name: two hooks each way, and one that fails if it is told to."""

import os
from collections.abc import Callable
from typing import Any

type Hook = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def _say(text: str) -> None:
    print("hook:", text, flush=True)  # noqa: T201 - a function's log
    if os.environ.get("FAILING_HOOK") == text:
        raise RuntimeError(f"{text} went wrong")


async def _say_later(text: str) -> None:
    _say(text)


def get_before_snapshot() -> list[Hook]:
    return [(_say, ("before 1",), {}), (_say, (), {"text": "before 2"})]


def get_after_restore() -> list[Hook]:
    return [(_say, ("after 1",), {}), (_say_later, ("after 2",), {})]

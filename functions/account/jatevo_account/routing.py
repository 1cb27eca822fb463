"""A route as a value."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

type Routed = tuple[str, str, Callable[..., Coroutine[Any, Any, Response]]]
"""Method, path, and what serves it."""

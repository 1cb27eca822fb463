"""
JSON from strangers: bounded depth, finite numbers, and never an exception that is not `BadJson`.

A member written twice counts once, the last: what is read here is also what is sent on, so nobody sees another value.
"""

import json
import math
from typing import Any

MAX_DEPTH = 100
MAX_NODES = 200_000
_NESTING = (dict, list)


class BadJson(ValueError):
    """A body that is no acceptable JSON; the text says why and is fit for the client."""


def loads(raw: bytes) -> Any:
    """Return the value of a JSON text in UTF-8."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError:
        raise BadJson("The body is not valid UTF-8.") from None
    except RecursionError:
        raise BadJson(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"The body is not valid JSON: {error.msg} at line {error.lineno}.") from None
    except ValueError:
        raise BadJson("The body holds a number no model understands.") from None
    _check_depth(value)
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    nodes = 0
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        nodes += len(level)
        if nodes > MAX_NODES:
            raise BadJson(f"The body holds more than {MAX_NODES:,} objects and lists.")
        if not level:
            return
    raise BadJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _children(node: Any) -> list[Any]:
    members = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [member for member in members if isinstance(member, _NESTING)]

"""Answers of the routes of owners: JSON that nobody keeps, or the refusal."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from jatevo.adapters.json_text import json_bytes

NO_STORE = {"cache-control": "no-store"}


def answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON."""
    return Response(json_bytes(body), status, {**NO_STORE, **(headers or {})}, media_type="application/json")


def done() -> Response:
    """Return the answer of what is done and has nothing to show."""
    return Response(status_code=204, headers=NO_STORE)

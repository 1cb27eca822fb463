"""Errors of the functions built on FastAPI: Starlette's, and what FastAPI itself finds wrong with a request."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from jatevo.adapters.http.starlette_errors import Errors
from jatevo.domain.refusals import Code, Refusal


def add_errors(app: FastAPI, errors: Errors) -> None:
    """Make every error that FastAPI raises by itself come out in our shape."""
    errors.add_to(app)

    def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return errors.answer(refusal_of(error.errors()))

    app.add_exception_handler(RequestValidationError, invalid)


def refusal_of(problems: Sequence[Any]) -> Refusal:
    """Return the refusal of a body or query that does not fit, naming the first thing that is wrong."""
    first = problems[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or None
    kind: str = first["type"]
    what = param or "The body"
    if kind == "json_invalid":
        return Refusal(Code.INVALID_JSON, "The body is not valid JSON.")
    if kind == "missing":
        return Refusal(Code.MISSING_FIELD, f"{what} is missing.", param)
    if kind == "extra_forbidden":
        return Refusal(Code.UNSUPPORTED_PARAMETER, f"Unknown field {what}.", param)
    code = Code.INVALID_TYPE if kind.endswith("_type") else Code.INVALID_VALUE
    return Refusal(code, f"{what}: {first['msg']}.", param)

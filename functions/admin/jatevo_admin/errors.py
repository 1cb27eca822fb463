"""
Every error of the admin API as HTTP: one shape, `{"error": {"message", "type", "param", "code"}}`.

Operators may know why something failed, so messages are the internal ones; no secret is in any of them.
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from jatevo.adapters.http.starlette_errors import methods_of
from jatevo.application.administration.problems import AdministrationError, InvalidValue, NotThere, Refused
from jatevo.application.ports import OutcomeUnknown, StoreError
from jatevo.application.snapshots import SnapshotFailed
from jatevo.domain.catalogue_file import CatalogueError
from jatevo.domain.refusals import Code

_log = logging.getLogger(__name__)

INVALID = "invalid_request_error"
API = "api_error"
MAX_PROBLEMS_SHOWN = 100

_KINDS: dict[type[AdministrationError], tuple[int, str]] = {
    NotThere: (404, Code.NOT_FOUND),
    InvalidValue: (400, Code.INVALID_VALUE),
    Refused: (409, "conflict"),
}
_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.REQUEST_TOO_LARGE}
_DECIMAL_HINT = 'Write a decimal string in US dollars, such as "11.00".'


def error_answer(
    status: int, message: str, code: str, *, param: str | None = None, kind: str = INVALID, **extra: Any
) -> JSONResponse:
    """Return an error as an answer."""
    error = {"message": message, "type": kind, "param": param, "code": str(code), **extra}
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": error}, status, headers)


def add_handlers(app: FastAPI) -> None:
    """Make every error that a route may raise an answer."""

    @app.exception_handler(AdministrationError)
    async def administration(_request: Request, error: AdministrationError) -> JSONResponse:
        status, code = _KINDS[type(error)]
        return error_answer(status, error.message, code, param=error.param)

    @app.exception_handler(CatalogueError)
    async def catalogue(_request: Request, error: CatalogueError) -> JSONResponse:
        count = len(error.problems)
        message = f"The catalogue was not applied; {count} problem{'s' if count > 1 else ''}: {error.problems[0]}"
        shown = error.problems[:MAX_PROBLEMS_SHOWN]
        return error_answer(400, message, "invalid_catalogue", param="document", problems=shown)

    @app.exception_handler(SnapshotFailed)
    async def snapshot(_request: Request, error: SnapshotFailed) -> JSONResponse:
        return error_answer(502, f"No snapshot was taken: {error}.", "snapshot_failed", kind=API)

    @app.exception_handler(StoreError)
    async def store(_request: Request, error: StoreError) -> JSONResponse:
        return store_answer(error)

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _validation_answer(error.errors())

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, Code.INVALID_REQUEST)
        if error.status_code == 404:
            return error_answer(404, f"There is no route {request.method} {request.url.path}.", code)
        if error.status_code == 405:
            answer = error_answer(405, f"{request.method} is not allowed at {request.url.path}.", code)
            answer.headers["allow"] = ", ".join(methods_of(request))
            return answer
        return error_answer(error.status_code, str(error.detail), code)


def store_answer(error: StoreError) -> JSONResponse:
    """Return the answer to a request whose store failed."""
    _log.warning("the store failed: %s", error)
    message = "The store cannot be reached or is overloaded; nothing was changed. Try again."
    if isinstance(error, OutcomeUnknown):
        message = "The store did not answer: the change may or may not have happened. Look, then try again."
    return error_answer(503, message, "store_unavailable", kind=API)


def _validation_answer(errors: Sequence[Any]) -> JSONResponse:
    """Return the answer to a body or query that does not fit, naming the first thing that is wrong."""
    first = errors[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or None
    kind = first["type"]
    if kind == "json_invalid":
        return error_answer(400, "The body is not valid JSON.", Code.INVALID_JSON)
    if kind == "extra_forbidden":
        return error_answer(400, f"Unknown field {param}.", Code.UNSUPPORTED_PARAMETER, param=param)
    if kind == "missing":
        what = f"{param} is missing." if param else "The body is missing: send a JSON object as application/json."
        return error_answer(400, what, Code.MISSING_FIELD, param=param)
    if param is None:
        return error_answer(400, "The body must be a JSON object, sent as application/json.", Code.INVALID_TYPE)
    if param.endswith("_usd_per_day"):
        return error_answer(400, f"{param}: {_DECIMAL_HINT}", Code.INVALID_VALUE, param=param)
    code = Code.INVALID_TYPE if kind.endswith("_type") else Code.INVALID_VALUE
    return error_answer(400, f"{param}: {first['msg']}.", code, param=param)

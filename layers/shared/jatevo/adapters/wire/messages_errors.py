"""Errors in the shape of Anthropic's API: the same facts and words as everywhere, and a type by the status."""

from jatevo.adapters.wire.errors import ErrorWording, WireError, wire_error
from jatevo.domain.refusals import Refusal

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def messages_error(refusal: Refusal, now_unix_s: int, wording: ErrorWording, request_id: str | None) -> WireError:
    """Return the HTTP form of a refusal; the gateway's own code and figures stand beside what is published."""
    error = wire_error(refusal, now_unix_s, wording)
    told = {**error.body["error"], "type": _TYPES.get(error.status, "invalid_request_error")}
    return WireError(error.status, error.headers, {"type": "error", "error": told, "request_id": request_id})

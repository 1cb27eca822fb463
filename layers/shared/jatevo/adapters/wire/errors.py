"""
The one table from refusals to HTTP: status, type, wording and headers of every error a client can get.

The body is OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`. Messages say what happened, what
remains, when it resets and what to do. Nothing here knows pools or upstreams, so nothing can name them.
"""

from dataclasses import dataclass
from typing import Any

from jatevo.domain.calendar import iso_instant
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Code, QuotaFacts, Refusal, Scope

_INVALID = "invalid_request_error"
_QUOTA = "insufficient_quota"
_RATE = "rate_limit_exceeded"
_API = "api_error"
_DENIED = "permission_error"

_TABLE: dict[Code, tuple[int, str]] = {
    Code.INVALID_API_KEY: (401, _INVALID),
    Code.KEY_DISABLED: (403, _DENIED),
    Code.IP_NOT_ALLOWED: (403, _DENIED),
    Code.INVALID_SESSION: (401, _INVALID),
    Code.ACCOUNT_DISABLED: (403, _DENIED),
    Code.CSRF_REFUSED: (403, _DENIED),
    Code.UNSUPPORTED_CHAIN: (400, _INVALID),
    Code.UNKNOWN_NONCE: (400, _INVALID),
    Code.NONCE_EXPIRED: (400, _INVALID),
    Code.NONCE_USED: (400, _INVALID),
    Code.TOO_MANY_ATTEMPTS: (400, _INVALID),
    Code.INVALID_SIGNATURE: (401, _INVALID),
    Code.WALLET_LINKED: (409, _INVALID),
    Code.LAST_WALLET: (409, _INVALID),
    Code.TOO_MANY_WALLETS: (409, _INVALID),
    Code.CONFLICT: (409, _INVALID),
    Code.RATE_LIMITED: (429, _RATE),
    Code.MODEL_NOT_ALLOWED: (403, _DENIED),
    Code.MODEL_NOT_FOUND: (404, _INVALID),
    Code.INVALID_REQUEST: (400, _INVALID),
    Code.INVALID_JSON: (400, _INVALID),
    Code.INVALID_TYPE: (400, _INVALID),
    Code.INVALID_VALUE: (400, _INVALID),
    Code.MISSING_FIELD: (400, _INVALID),
    Code.UNSUPPORTED_PARAMETER: (400, _INVALID),
    Code.UNSUPPORTED_MODALITY: (400, _INVALID),
    Code.PREVIOUS_RESPONSE_NOT_FOUND: (400, _INVALID),
    Code.CONTEXT_LENGTH_EXCEEDED: (400, _INVALID),
    Code.NOT_FOUND: (404, _INVALID),
    Code.METHOD_NOT_ALLOWED: (405, _INVALID),
    Code.UPGRADE_UNSUPPORTED: (426, _INVALID),
    Code.REQUEST_TOO_LARGE: (413, _INVALID),
    Code.UNSUPPORTED_ENCODING: (415, _INVALID),
    Code.INVALID_ENCODING: (400, _INVALID),
    Code.REQUEST_QUOTA_EXHAUSTED: (429, _QUOTA),
    Code.BUDGET_EXHAUSTED: (429, _QUOTA),
    Code.PROJECTED_COST_EXCEEDS_BUDGET: (429, _QUOTA),
    Code.BUDGET_IN_FLIGHT: (429, _RATE),
    Code.CONCURRENCY_LIMIT: (429, _RATE),
    Code.UPSTREAM_ERROR: (502, _API),
    Code.UPSTREAM_UNAVAILABLE: (503, _API),
    Code.UPSTREAM_TIMEOUT: (504, _API),
    Code.SERVICE_UNAVAILABLE: (503, _API),
    Code.SERVICE_PAUSED: (503, _API),
    Code.INTERNAL_ERROR: (500, _API),
}
_SHORT_RETRY_S = {
    Code.BUDGET_IN_FLIGHT: 2,
    Code.CONCURRENCY_LIMIT: 1,
    Code.UPSTREAM_UNAVAILABLE: 5,
    Code.SERVICE_UNAVAILABLE: 2,
}
_UNTIL_RESET = frozenset({Code.REQUEST_QUOTA_EXHAUSTED, Code.BUDGET_EXHAUSTED, Code.PROJECTED_COST_EXCEEDS_BUDGET})


@dataclass(frozen=True, slots=True)
class WireError:
    """An error as it leaves: status, extra headers, body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ErrorWording:
    """
    What the texts depend on. `top_up_url`: where a budget can be topped up, if there is such a place. `quota_type`: the
    type of the errors that last until a reset, for a client that knows them by another.
    """

    top_up_url: str | None = None
    quota_type: str | None = None


def wire_error(refusal: Refusal, now_unix_s: int, wording: ErrorWording) -> WireError:
    """Return the HTTP form of a refusal."""
    status, kind = _TABLE[refusal.code]
    if refusal.code in _UNTIL_RESET:
        kind = wording.quota_type or kind
    error: dict[str, Any] = {
        "message": _message(refusal, wording),
        "type": kind,
        "param": refusal.param,
        "code": refusal.code.value,
    }
    headers: dict[str, str] = {}
    if refusal.code in _SHORT_RETRY_S:
        headers["retry-after"] = str(_SHORT_RETRY_S[refusal.code])
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(refusal.retry_after_s)
    if refusal.billable or refusal.code is Code.SERVICE_PAUSED:
        headers["x-should-retry"] = "false"
    if refusal.code is Code.RATE_LIMITED and refusal.quota is not None:
        headers["retry-after"] = str(max(1, refusal.quota.resets_at_unix_s - now_unix_s))
        error["resets_at"] = refusal.quota.resets_at_unix_s
    if refusal.code in _UNTIL_RESET and refusal.quota is not None:
        headers["retry-after"] = str(max(1, refusal.quota.resets_at_unix_s - now_unix_s))
        headers["x-should-retry"] = "false"
        error["resets_at"] = refusal.quota.resets_at_unix_s
    if refusal.code is Code.PROJECTED_COST_EXCEEDS_BUDGET and refusal.quota is not None:
        error |= _projection(refusal.quota)
    return WireError(status, headers, {"error": error})


def _projection(facts: QuotaFacts) -> dict[str, Any]:
    """Return what a projection that does not fit says. What is a reseller's business is not told to its customers."""
    if facts.scope is Scope.ISSUER:
        return {}
    if facts.scope is Scope.LANE:
        return {"affordable_output_tokens": facts.affordable_output_tokens}
    balance = facts.prepaid_left_nano_usd
    found = {
        "projected_cost_usd": format_usd(facts.projected_nano_usd),
        "budget_remaining_usd": format_usd(max(0, facts.budget_left_nano_usd) + (balance or 0)),
        "affordable_output_tokens": facts.affordable_output_tokens,
    }
    return found if balance is None else {**found, "prepaid_remaining_usd": format_usd(balance)}


def _message(refusal: Refusal, wording: ErrorWording) -> str:
    facts = refusal.quota
    if facts is None or refusal.code is Code.KEY_DISABLED:
        disabled = "This API key is disabled. Use another one or create a new key."
        return refusal.detail or (disabled if refusal.code is Code.KEY_DISABLED else "")
    if refusal.code is Code.RATE_LIMITED:
        at = iso_instant(facts.resets_at_unix_s)
        return f"{_whose(facts)} limit of {facts.requests_limit} requests a minute is reached. It resets at {at}."
    if refusal.code is Code.CONCURRENCY_LIMIT:
        if facts.scope is Scope.LANE:
            return "All places for this model in this lane are taken at this moment. Try again in a second."
        return f"{_whose(facts)} limit of {facts.concurrency_limit} requests at once is reached. Try again in a second."
    if facts.scope is Scope.ISSUER:
        return _issuers(refusal.code, facts)
    if facts.scope is Scope.LANE:
        return _lanes(refusal.code, facts)
    return _quota_message(refusal.code, facts, wording)


def _quota_message(code: Code, facts: QuotaFacts, wording: ErrorWording) -> str:
    """Return the text of a refusal by a quota or a budget: what happened, what remains, when it resets, what helps."""
    whose, more = _whose(facts), _remedy(facts.scope, wording)
    its = whose[0].lower() + whose[1:]
    reset = f"It resets at {iso_instant(facts.resets_at_unix_s)}."
    remains = format_usd(max(0, facts.budget_left_nano_usd))
    limit, projected = format_usd(facts.budget_limit_nano_usd), format_usd(facts.projected_nano_usd)
    balance, nothing = "", "$0.00 remain"
    if facts.prepaid_left_nano_usd is not None:
        left = format_usd(facts.prepaid_left_nano_usd)
        balance = f" and ${left} of the prepaid balance, one of which pays for a request,"
        nothing = f"$0.00 remain, and ${left} of the prepaid balance"
    match code:
        case Code.REQUEST_QUOTA_EXHAUSTED:
            quota = f"{facts.span} quota of {facts.requests_limit} requests"
            return f"{whose} {quota} is used up: 0 remain. {reset} {more}."
        case Code.BUDGET_EXHAUSTED:
            return f"{whose} {facts.span} budget of ${limit} is used up: {nothing}. {reset} {more}."
        case Code.PROJECTED_COST_EXCEEDS_BUDGET:
            fits = f"at most {facts.affordable_output_tokens} output tokens would fit"
            if facts.affordable_output_tokens == 0:
                fits = "the input alone does not fit"
            return (
                f"This request may cost up to ${projected}, but ${remains} of "
                f"{its} {facts.span} budget of ${limit}{balance} remain; {fits}. {reset} Lower max_tokens, shorten the "
                f"input, or: {more[0].lower()}{more[1:]}."
            )
        case _:
            return (
                f"This request may cost up to ${projected}; ${remains} of {its} "
                f"{facts.span} budget of ${limit}{balance} are free now, the rest is held by requests under way. "
                "Try again shortly, or lower max_tokens."
            )


def _issuers(code: Code, facts: QuotaFacts) -> str:
    """Return the text for a reseller's customer whom the reseller's own limits stop."""
    if code is Code.BUDGET_IN_FLIGHT:
        return "Those who issued this API key have no budget free at this moment. Try again shortly."
    reset = iso_instant(facts.resets_at_unix_s)
    return f"Those who issued this API key have used up what they may use. It resets at {reset}. Ask them."


def _lanes(code: Code, facts: QuotaFacts) -> str:
    """Return the text of a refusal by what a lane has for all who use it."""
    if code is Code.BUDGET_IN_FLIGHT:
        return "This lane has no budget free at this moment. Try again shortly, or use another lane."
    what = "requests" if code is Code.REQUEST_QUOTA_EXHAUSTED else "budget"
    used = f"What this lane has of {what} for all its users today is used up."
    if code is Code.PROJECTED_COST_EXCEEDS_BUDGET and facts.affordable_output_tokens:
        used = f"At most {facts.affordable_output_tokens} output tokens would fit what this lane has left for today."
    return f"{used} It resets at {iso_instant(facts.resets_at_unix_s)}. Wait for the reset, or use another lane."


_WHOSE = {
    Scope.ACCOUNT: "Your",
    Scope.KEY: "This API key's",
    Scope.ISSUER: "The issuer's",
    Scope.VISITOR: "Your playground",
    Scope.PLAYGROUND: "The playground's",
}


def _whose(facts: QuotaFacts) -> str:
    return _WHOSE[facts.scope]


def _remedy(scope: Scope, wording: ErrorWording) -> str:
    """Return what lifts a limit: more $JTVO does nothing for a cap that was set on a key."""
    if scope in {Scope.VISITOR, Scope.PLAYGROUND}:
        return "Wait for the reset, or use an API key of your own"
    if scope is Scope.KEY:
        return "Wait for the reset or have this key's cap raised"
    if wording.top_up_url is None:
        return "Wait for the reset, or hold more $JTVO"
    return f"Wait for the reset, hold more $JTVO, or top up at {wording.top_up_url}"

"""
Refusals: why a request is not served, as values.

A refusal carries facts; its public wording, status and headers are made in one place, where it becomes HTTP
(`jatevo.adapters.wire.errors`). Nothing in it may name a pool or an upstream.
"""

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_SHOWN = 64


class Code(StrEnum):
    """The public codes, as in the error table of the product."""

    INVALID_API_KEY = "invalid_api_key"
    KEY_DISABLED = "key_disabled"
    IP_NOT_ALLOWED = "ip_not_allowed"
    INVALID_SESSION = "invalid_session"
    ACCOUNT_DISABLED = "account_disabled"
    CSRF_REFUSED = "csrf_refused"
    UNSUPPORTED_CHAIN = "unsupported_chain"
    UNKNOWN_NONCE = "unknown_nonce"
    NONCE_EXPIRED = "nonce_expired"
    NONCE_USED = "nonce_used"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    INVALID_SIGNATURE = "invalid_signature"
    WALLET_LINKED = "wallet_linked"
    LAST_WALLET = "last_wallet"
    TOO_MANY_WALLETS = "too_many_wallets"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limit_exceeded"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    INVALID_REQUEST = "invalid_request"
    INVALID_JSON = "invalid_json"
    INVALID_TYPE = "invalid_type"
    INVALID_VALUE = "invalid_value"
    MISSING_FIELD = "missing_required_parameter"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    UNSUPPORTED_MODALITY = "unsupported_modality"
    PREVIOUS_RESPONSE_NOT_FOUND = "previous_response_not_found"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UPGRADE_UNSUPPORTED = "upgrade_unsupported"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INVALID_ENCODING = "invalid_encoding"
    REQUEST_QUOTA_EXHAUSTED = "request_quota_exhausted"
    BUDGET_EXHAUSTED = "budget_exhausted"
    PROJECTED_COST_EXCEEDS_BUDGET = "projected_cost_exceeds_budget"
    BUDGET_IN_FLIGHT = "budget_in_flight"
    CONCURRENCY_LIMIT = "concurrency_limit"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    SERVICE_UNAVAILABLE = "service_unavailable"
    SERVICE_PAUSED = "service_paused"
    INTERNAL_ERROR = "internal_error"


class Scope(StrEnum):
    """Whose limit refused."""

    ACCOUNT = "account"
    KEY = "key"
    ISSUER = "issuer"
    """The account of a reseller, whose figures its customers do not see."""
    VISITOR = "visitor"
    PLAYGROUND = "playground"
    """All visitors together."""
    LANE = "lane"
    """
    A lane as a whole, or its part of a pool: another lane may still take the request. What others have used of it is
    not the caller's to see.
    """


class Span(StrEnum):
    """For how long a limit holds."""

    MINUTE = "minute"
    DAY = "daily"
    MONTH = "monthly"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """What a refusal by a limit says of it: amounts in nano-USD, the reset in unix seconds."""

    scope: Scope
    resets_at_unix_s: int
    requests_limit: int
    requests_left: int
    budget_limit_nano_usd: int
    budget_left_nano_usd: int
    projected_nano_usd: int
    affordable_output_tokens: int = 0
    concurrency_limit: int = 0
    span: Span = Span.DAY
    prepaid_left_nano_usd: int | None = None
    """What is left of the balance that is spent after the budget; None: there is none."""


def shown(name: str) -> str:
    """Return a name that a client sent, as a refusal repeats it: never at length."""
    return name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "…"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served. `detail` is public text; `quota` is set when a limit refused."""

    code: Code
    detail: str = ""
    param: str | None = None
    quota: QuotaFacts | None = None
    billable: bool = False
    """The upstream may have done the work: a client must not resend by itself."""
    retry_after_s: int | None = None

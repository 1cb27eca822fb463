"""
The answer of `GET /v1/usage`, in the shape that existing clients poll: sums over all time of the key that asks, and
the limits that bind it today. `account` and `key` say the same windows in full, with what is in flight.

In every row and object, what is in flight counts as used: `max_value = current_value + remaining_value`, except after
a limit was lowered below what was used already. Amounts are decimal strings of USD; what has no limit is null.
"""

from typing import Any

from jatevo.domain.calendar import iso_instant, next_reset_unix_s
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Scope
from jatevo.domain.rollups import Tally
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Window


def usage_report(used: Tally, account: Window, key: Window | None, now_unix_s: int) -> dict[str, Any]:
    """Return the answer: what the key has used, its account's window and, if it has caps, its own."""
    reset_at = iso_instant(next_reset_unix_s(now_unix_s))
    limits = [_requests_row(account, Scope.ACCOUNT, reset_at), _budget_row(account, Scope.ACCOUNT, reset_at)]
    if key is not None and key.limits.requests < UNLIMITED_REQUESTS:
        limits.append(_requests_row(key, Scope.KEY, reset_at))
    if key is not None and key.limits.budget_nano_usd < UNLIMITED_BUDGET_NANO_USD:
        limits.append(_budget_row(key, Scope.KEY, reset_at))
    return {
        "request_count": used.requests,
        "total_tokens": used.total_tokens,
        "total_cost_usd": format_usd(used.charge_nano_usd),
        "limits": limits,
        "account": _counters(account, reset_at),
        "key": None if key is None else _counters(key, reset_at),
    }


def _requests_row(window: Window, scope: Scope, reset_at: str) -> dict[str, Any]:
    return {
        "limit_type": "requests",
        "limit_window": "daily",
        "max_value": _requests(window, window.limits.requests),
        "current_value": window.limits.requests - window.requests_left,
        "remaining_value": _requests(window, window.requests_left),
        "reset_at": reset_at,
        "scope": scope.value,
    }


def _budget_row(window: Window, scope: Scope, reset_at: str) -> dict[str, Any]:
    return {
        "limit_type": "budget_usd",
        "limit_window": "daily",
        "max_value": _budget_usd(window, window.limits.budget_nano_usd),
        "current_value": format_usd(window.settled_nano_usd + window.held_nano_usd),
        "remaining_value": _budget_usd(window, window.budget_left_nano_usd),
        "reset_at": reset_at,
        "scope": scope.value,
    }


def _counters(window: Window, reset_at: str) -> dict[str, Any]:
    concurrency = window.limits.concurrency
    return {
        "requests_limit": _requests(window, window.limits.requests),
        "requests_used": window.limits.requests - window.requests_left,
        "requests_remaining": _requests(window, window.requests_left),
        "requests_in_flight": len(window.open),
        "concurrency_limit": None if concurrency >= UNLIMITED_REQUESTS else concurrency,
        "budget_limit_usd": _budget_usd(window, window.limits.budget_nano_usd),
        "budget_spent_usd": format_usd(window.settled_nano_usd),
        "budget_in_flight_usd": format_usd(window.held_nano_usd),
        "budget_remaining_usd": _budget_usd(window, window.budget_left_nano_usd),
        "reset_at": reset_at,
    }


def _requests(window: Window, count: int) -> int | None:
    """Return a number of requests as it is shown: null where there is no limit, never negative."""
    return None if window.limits.requests >= UNLIMITED_REQUESTS else max(0, count)


def _budget_usd(window: Window, amount_nano_usd: int) -> str | None:
    """Return an amount of the budget as it is shown: null where there is no limit, never negative."""
    return None if window.limits.budget_nano_usd >= UNLIMITED_BUDGET_NANO_USD else format_usd(max(0, amount_nano_usd))

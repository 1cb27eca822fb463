"""
The answer of `GET /v1/usage`, in the shape that existing clients poll: sums over all time of the key that asks, and
the limits that bind it today. `account` and `key` say the same windows in full, with what is in flight.

In every row and object, what is in flight counts as used: `max_value = current_value + remaining_value`, except after
a limit was lowered below what was used already. Amounts are decimal strings of USD; what has no limit is null.
"""

from dataclasses import dataclass
from typing import Any

from jatevo.adapters.wire.headers import without_budget
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.calendar import iso_instant, period_end_unix_s
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import Scope
from jatevo.domain.rollups import Tally
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Window


@dataclass(frozen=True, slots=True)
class Bounds:
    """The windows that bind a key beside its account's day; None: it has none of that kind."""

    key: Window | None = None
    month: Window | None = None
    prepaid: Window | None = None


def usage_report(used: Tally, account: Window, bounds: Bounds, *, resold: bool = False) -> dict[str, Any]:
    """
    Return the answer: what the key has used, its account's window and the others that bind it.

    `resold`: the key's user pays a reseller, whose own dollars are not shown.
    """
    key, month = bounds.key, bounds.month
    if resold:
        account, month = without_budget(account), None if month is None else without_budget(month)
    limits = [_requests_row(account, Scope.ACCOUNT), _budget_row(account, Scope.ACCOUNT)]
    for window, scope in ((key, Scope.KEY), (month, Scope.ACCOUNT)):
        if window is not None and window.limits.requests < UNLIMITED_REQUESTS:
            limits.append(_requests_row(window, scope))
        if window is not None and window.limits.budget_nano_usd < UNLIMITED_BUDGET_NANO_USD:
            limits.append(_budget_row(window, scope))
    if bounds.prepaid is not None and not resold:
        limits.append(_budget_row(bounds.prepaid, Scope.ACCOUNT))
    return {
        "request_count": used.requests,
        "total_tokens": used.total_tokens,
        "total_cost_usd": format_usd(used.resale_nano_usd),
        "limits": limits,
        "account": _counters(account),
        "key": None if key is None else _counters(key),
    }


def _requests_row(window: Window, scope: Scope) -> dict[str, Any]:
    return {
        "limit_type": "requests",
        "limit_window": _span(window),
        "max_value": _requests(window, window.limits.requests),
        "current_value": window.limits.requests - window.requests_left,
        "remaining_value": _requests(window, window.requests_left),
        "reset_at": _reset_at(window),
        "scope": scope.value,
    }


def _budget_row(window: Window, scope: Scope) -> dict[str, Any]:
    return {
        "limit_type": "budget_usd",
        "limit_window": _span(window),
        "max_value": _budget_usd(window, window.limits.budget_nano_usd),
        "current_value": format_usd(window.settled_nano_usd + window.held_nano_usd),
        "remaining_value": _budget_usd(window, window.budget_left_nano_usd),
        "reset_at": _reset_at(window),
        "scope": scope.value,
    }


def _counters(window: Window) -> dict[str, Any]:
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
        "reset_at": _reset_at(window),
    }


def _span(window: Window) -> str:
    return {Kind.MONTH: "monthly", Kind.PREPAID: "prepaid"}.get(kind_of(window.key), "daily")


def _reset_at(window: Window) -> str | None:
    """Return when a window starts anew; a balance never does."""
    ends = period_end_unix_s(window.key.period)
    return None if ends is None else iso_instant(ends)


def _requests(window: Window, count: int) -> int | None:
    """Return a number of requests as it is shown: null where there is no limit, never negative."""
    return None if window.limits.requests >= UNLIMITED_REQUESTS else max(0, count)


def _budget_usd(window: Window, amount_nano_usd: int) -> str | None:
    """Return an amount of the budget as it is shown: null where there is no limit, never negative."""
    return None if window.limits.budget_nano_usd >= UNLIMITED_BUDGET_NANO_USD else format_usd(max(0, amount_nano_usd))

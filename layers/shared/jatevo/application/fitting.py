"""
Fitting: the worst case of a request against the windows that bind it, and what a refusal says of one.

A default output cap is made to fit every window's money, each in the price that is held there; a client's own is never
changed. A refusal is true for the least that would have served the request.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jatevo.application.wanted import Policy, Wanted
from jatevo.domain.binding import Binding, Kind, kind_of
from jatevo.domain.calendar import period_end_unix_s
from jatevo.domain.projection import (
    SMALLEST_DEFAULT_CAP,
    Margin,
    Projection,
    affordable_output_cap,
    project,
    shrink_default_cap,
    with_output_cap,
)
from jatevo.domain.refusals import Code, QuotaFacts, Refusal, Scope, Span
from jatevo.domain.windows import Bound, Hold, Refused, Window, WindowKey, bound_against

BUDGET_BOUNDS = frozenset({Bound.BUDGET_EMPTY, Bound.BUDGET_TOO_SMALL, Bound.BUDGET_IN_FLIGHT})
_PERIOD_BUDGETS = frozenset({Kind.MONTH, Kind.ACCOUNT})
_SPANS = {Kind.MINUTE: Span.MINUTE, Kind.MONTH: Span.MONTH, Kind.PREPAID: Span.ALWAYS, Kind.SLOTS: Span.ALWAYS}
_SCOPES = {Kind.KEY: Scope.KEY, Kind.VISITOR: Scope.VISITOR, Kind.LANE: Scope.LANE, Kind.SLOTS: Scope.LANE}

_CODES = {
    Bound.KEY_BLOCKED: Code.KEY_DISABLED,
    Bound.REQUESTS_EMPTY: Code.REQUEST_QUOTA_EXHAUSTED,
    Bound.BUDGET_EMPTY: Code.BUDGET_EXHAUSTED,
    Bound.BUDGET_TOO_SMALL: Code.PROJECTED_COST_EXCEEDS_BUDGET,
    Bound.BUDGET_IN_FLIGHT: Code.BUDGET_IN_FLIGHT,
    Bound.CONCURRENCY: Code.CONCURRENCY_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A window that binds a request, as it was last seen or will be opened."""

    binding: Binding
    window: Window


def refused_for_money(refused: Refused) -> bool:
    """Return whether a budget of the account's day or month had no room: then a balance may pay instead."""
    return refused.bound in BUDGET_BOUNDS and kind_of(refused.window.key) in _PERIOD_BUDGETS


def refused_by_balance(refused: Refused) -> bool:
    """Return whether it was a balance that had no room."""
    return kind_of(refused.window.key) is Kind.PREPAID


class Fitting:
    """Fits requests under one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def price_in(self, key: WindowKey, wanted: Wanted) -> Margin:
        """Return the margin of what a window holds: a reseller's in its key's own, else the gateway's."""
        resale = wanted.resale_margin_bps(self._policy.margin_bps)
        return resale if resale is not None and kind_of(key) is Kind.KEY else self.margin(wanted)

    def margin(self, wanted: Wanted) -> int:
        return wanted.margin_bps(self._policy.margin_bps)

    def resale_nano_usd(self, wanted: Wanted, projection: Projection) -> int | None:
        """Return the most that the reseller's customer pays for a projection; None: nothing is resold."""
        margin = wanted.resale_margin_bps(self._policy.margin_bps)
        if margin is None:
            return None
        return with_output_cap(wanted.model, wanted.ask, margin, cap=projection.output_cap).amount_nano_usd

    def fitting(self, wanted: Wanted, seen: Iterable[Seen]) -> Projection:
        """
        Return the worst case, its default cap made to fit. Where a window has no room for any, the default cap
        stands: the store will say whether that is still so.
        """
        margin = self.margin(wanted)
        projection = project(wanted.model, wanted.ask, margin)
        if wanted.ask.output_cap is not None:
            return projection
        windows = list(seen)
        free_slots = min((one.window.free_slots for one in windows), default=1)
        shrunk = [
            shrink_default_cap(
                wanted.model,
                wanted.ask,
                self.price_in(one.window.key, wanted),
                budget_left_nano_usd=one.window.budget_left_nano_usd,
                free_slots=free_slots,
            )
            for one in windows
            if one.binding.money
        ]
        cap = min(fits.output_cap for fits in [*shrunk, projection] if fits is not None)
        return with_output_cap(wanted.model, wanted.ask, margin, cap=cap)

    def comfortable(self, wanted: Wanted, projection: Projection, seen: Iterable[Seen]) -> bool:
        """Return whether a default cap is a useful one, or at least as long as it were without the period's budgets."""
        if wanted.ask.output_cap is not None:
            return True
        others = self.fitting(wanted, [one for one in seen if one.binding.kind not in _PERIOD_BUDGETS])
        least = min(SMALLEST_DEFAULT_CAP, wanted.model.default_output_tokens)
        return projection.output_cap >= min(least, others.output_cap)

    def refusal(self, wanted: Wanted, projection: Projection, refusals: Sequence[Refused]) -> Refusal:
        """
        Return the refusal of a request by a window, or by its budget and its balance both: then the one that has more
        room is told of, and what is left in all.

        A request without a cap would have been served with any: so what is too much for good, and what only until
        requests under way settle, is judged by the smallest.
        """
        refused = max(refusals, key=_room)
        window, bound = refused.window, refused.bound
        margin = self.price_in(window.key, wanted)
        cap = projection.output_cap
        if bound in BUDGET_BOUNDS and wanted.ask.output_cap is None:
            cap = 1
        projected = with_output_cap(wanted.model, wanted.ask, margin, cap=cap).amount_nano_usd
        if bound in BUDGET_BOUNDS:
            least = Hold(projected, 0, wanted.caller.key.ref)
            bound = bound_against(window, least) or Bound.BUDGET_IN_FLIGHT
        facts = _facts(wanted, refusals[0].window)
        balance = next((one.window for one in refusals if kind_of(one.window.key) is Kind.PREPAID), None)
        facts = replace(
            facts,
            projected_nano_usd=projected,
            affordable_output_tokens=affordable_output_cap(wanted.model, wanted.ask, margin, _room(refused)),
            prepaid_left_nano_usd=None if balance is None else max(0, balance.budget_left_nano_usd),
        )
        code = Code.RATE_LIMITED if facts.span is Span.MINUTE else _CODES[bound]
        return Refusal(code, quota=facts)


def _room(refused: Refused) -> int:
    """Return what a window could hold once all that is under way in it had settled for nothing."""
    return refused.window.budget_left_nano_usd + refused.window.held_nano_usd


def _facts(wanted: Wanted, window: Window) -> QuotaFacts:
    """Return what a window says of itself."""
    kind = kind_of(window.key)
    return QuotaFacts(
        scope=_SCOPES.get(kind) or _accounts_scope(wanted),
        resets_at_unix_s=period_end_unix_s(window.key.period) or 0,
        requests_limit=window.limits.requests,
        requests_left=window.requests_left,
        budget_limit_nano_usd=window.limits.budget_nano_usd,
        budget_left_nano_usd=window.budget_left_nano_usd,
        projected_nano_usd=0,
        concurrency_limit=window.limits.concurrency,
        span=_SPANS.get(kind, Span.DAY),
    )


def _accounts_scope(wanted: Wanted) -> Scope:
    if wanted.caller.visitor is not None:
        return Scope.PLAYGROUND
    return Scope.ACCOUNT if wanted.caller.reseller_margin_bps is None else Scope.ISSUER

"""
Settlement: what a request is charged, given how it went.

Invariant: 0 ≤ charge ≤ reservation, whatever an upstream says. What was due beyond is `overrun`, the operator's cost.
Where a key is resold, charge ≤ resale ≤ what was reserved of the reseller's price: each of the two is rounded once,
from the cost, and both grow with it, so the reseller's margin is never negative.
"""

from dataclasses import dataclass

from jatevo.domain.ledger import Figures, Outcome, Reason
from jatevo.domain.money import charge_nano_usd, cost_nano_usd, resale_margin_bps
from jatevo.domain.pricing import Price
from jatevo.domain.projection import PERMILLE, InputSize
from jatevo.domain.tokens import TokenUsage, UsageSource

_TYPICAL_ASCII_PERMILLE = 250
_TYPICAL_OTHER_PERMILLE = 500
_TYPICAL_MESSAGE_TOKENS = 4
_MOST_ESTIMATE_PERMILLE = 4 * PERMILLE


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reservation fixed: the price, the margin and the most that can be charged."""

    price: Price
    margin_bps: int
    reserved_nano_usd: int
    reseller_margin_bps: int | None = None
    resale_reserved_nano_usd: int = 0
    """The most of the reseller's price, which the windows of its key hold."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a reservation ends: the deciding part of its ledger entry."""

    outcome: Outcome
    reason: Reason
    figures: Figures = Figures()
    usage: TokenUsage = TokenUsage()
    usage_source: UsageSource = UsageSource.NONE


def charged_for_usage(terms: Terms, reason: Reason, usage: TokenUsage, source: UsageSource) -> Verdict:
    """Return the verdict for an answer, whole or in part, that came to `usage`."""
    cost_femto = terms.price.cost_femto_usd(usage)
    due = charge_nano_usd(cost_femto, terms.margin_bps)
    charge = min(due, terms.reserved_nano_usd)
    cost = cost_nano_usd(cost_femto)
    figures = Figures(
        cost_nano_usd=cost,
        margin_nano_usd=charge - cost,
        charge_nano_usd=charge,
        overrun_nano_usd=due - charge,
        reseller_margin_nano_usd=_resale_nano_usd(terms, cost_femto, charge) - charge,
    )
    return Verdict(Outcome.CHARGED, reason, figures, usage, source)


def _resale_nano_usd(terms: Terms, cost_femto: int, charge_nano: int) -> int:
    if terms.reseller_margin_bps is None:
        return charge_nano
    margin = resale_margin_bps(terms.margin_bps, terms.reseller_margin_bps)
    return min(charge_nano_usd(cost_femto, margin), terms.resale_reserved_nano_usd)


def counted_free(reason: Reason) -> Verdict:
    """Return the verdict that gives the money back and keeps the request counted: the client's own error."""
    return Verdict(Outcome.CHARGED, reason)


def released(reason: Reason) -> Verdict:
    """Return the verdict that gives everything back."""
    return Verdict(Outcome.RELEASED, reason)


def unanswered(
    terms: Terms, reason: Reason, estimate: TokenUsage, *, exposure_left_nano_usd: int, tries: int = 1
) -> Verdict:
    """
    Return the verdict for a request that may have been billed upstream, `tries` times, and brought the client nothing.

    The client is not charged while the account's exposure of the day stays within its cap; beyond it the estimate is
    charged, so that provoking such failures is no way to spend without paying.
    """
    exposure = tries * terms.reserved_nano_usd
    if exposure <= exposure_left_nano_usd:
        return Verdict(Outcome.CHARGED, reason, Figures(exposure_nano_usd=exposure))
    return charged_for_usage(terms, reason, estimate, UsageSource.ESTIMATED)


def abandoned(
    reserved_nano_usd: int, *, exposure_left_nano_usd: int, resale_reserved_nano_usd: int | None = None
) -> Verdict:
    """
    Return the verdict for a reservation whose handler never came back. All that is known of it is what it holds.

    As `unanswered`, but beyond the cap what was held is charged, and booked as cost: nobody knows its tokens.
    """
    if reserved_nano_usd <= exposure_left_nano_usd:
        return Verdict(Outcome.EXPIRED, Reason.ABANDONED, Figures(exposure_nano_usd=reserved_nano_usd))
    resale = reserved_nano_usd if resale_reserved_nano_usd is None else resale_reserved_nano_usd
    figures = Figures(
        cost_nano_usd=reserved_nano_usd,
        charge_nano_usd=reserved_nano_usd,
        reseller_margin_nano_usd=resale - reserved_nano_usd,
    )
    return Verdict(Outcome.EXPIRED, Reason.ABANDONED, figures)


def estimated_usage(
    size: InputSize,
    produced_bytes: int,
    *,
    most_input_tokens: int,
    context_window: int | None = None,
    choices: int = 1,
) -> TokenUsage:
    """
    Return a deterministic estimate of an answer's tokens where the upstream counted none. Never zero.

    It aims at the truth, unlike the projection, which aims at the worst case: four bytes a token for ASCII. An input is
    never taken for more than the `most_input_tokens` that it was projected, or counted, to come to, nor for more than
    its answer leaves of the context window, which it shares with each choice: no more than fits there is held.
    """
    ascii_bytes = size.ascii_bytes + size.tool_ascii_bytes
    other_bytes = size.other_bytes + size.tool_other_bytes
    text = -(-(ascii_bytes * _TYPICAL_ASCII_PERMILLE + other_bytes * _TYPICAL_OTHER_PERMILLE) // PERMILLE)
    output = -(-produced_bytes * _TYPICAL_ASCII_PERMILLE // PERMILLE)
    if context_window is not None:
        longest = -(-output // choices)
        most_input_tokens = min(most_input_tokens, context_window - longest)
    return TokenUsage(
        input_tokens=max(1, min(text + size.messages * _TYPICAL_MESSAGE_TOKENS, most_input_tokens)),
        output_tokens=output,
    )


def observed_estimate_permille(projected_tokens: int, reported_tokens: int, applied_permille: int) -> int:
    """
    Return the factor under which the projection of an input would have covered what was reported.

    Bounded, because what was reported may be a lie: no tokenizer needs more than about two tokens a byte.
    """
    observed = -(-applied_permille * reported_tokens // max(1, projected_tokens))
    return min(observed, _MOST_ESTIMATE_PERMILLE)

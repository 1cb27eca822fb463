"""The headers every answer carries: OpenAI's names for the request quota, our own for the budget."""

from dataclasses import dataclass

from jatevo.domain.calendar import iso_instant, next_reset_unix_s
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import QuotaFacts
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Window


@dataclass(frozen=True, slots=True)
class Standing:
    """Both counters at one moment."""

    requests_limit: int
    requests_left: int
    budget_limit_nano_usd: int
    budget_left_nano_usd: int


def standing_of(*windows: Window, given_back_nano_usd: int = 0, request_back: bool = False) -> Standing:
    """Return the counters of the windows that bind a request, plus what its settlement has just given back to them."""
    return tightest(
        *(
            Standing(
                requests_limit=window.limits.requests,
                requests_left=window.requests_left + request_back,
                budget_limit_nano_usd=window.limits.budget_nano_usd,
                budget_left_nano_usd=window.budget_left_nano_usd + given_back_nano_usd,
            )
            for window in windows
        )
    )


def tightest(*standings: Standing) -> Standing:
    """Return, of each counter, the one with least left: an account's or a key's own, whichever stops first."""
    requests = min(standings, key=lambda standing: standing.requests_left)
    budget = min(standings, key=lambda standing: standing.budget_left_nano_usd)
    return Standing(
        requests.requests_limit, requests.requests_left, budget.budget_limit_nano_usd, budget.budget_left_nano_usd
    )


def standing_in(facts: QuotaFacts) -> Standing:
    """Return the counters a refusal speaks of."""
    return Standing(facts.requests_limit, facts.requests_left, facts.budget_limit_nano_usd, facts.budget_left_nano_usd)


def limit_headers(standing: Standing, now_unix_s: int) -> dict[str, str]:
    """Return the headers that tell both counters. What has no limit has no header."""
    reset = next_reset_unix_s(now_unix_s)
    headers = {"x-jatevo-reset-at": iso_instant(reset)}
    if standing.requests_limit < UNLIMITED_REQUESTS:
        headers |= {
            "x-ratelimit-limit-requests": str(standing.requests_limit),
            "x-ratelimit-remaining-requests": str(max(0, standing.requests_left)),
            "x-ratelimit-reset-requests": f"{reset - now_unix_s}s",
        }
    if standing.budget_limit_nano_usd < UNLIMITED_BUDGET_NANO_USD:
        headers |= {
            "x-jatevo-budget-limit-usd": format_usd(standing.budget_limit_nano_usd),
            "x-jatevo-budget-remaining-usd": format_usd(max(0, standing.budget_left_nano_usd)),
        }
    return headers

"""The headers every answer carries: OpenAI's names for the request quota, our own for the budget."""

from jatevo.domain.calendar import iso_instant, next_reset_unix_s
from jatevo.domain.money import format_usd
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS


def limit_headers(
    *, requests_limit: int, requests_left: int, budget_limit_nano_usd: int, budget_left_nano_usd: int, now_unix_s: int
) -> dict[str, str]:
    """Return the headers that tell both counters. What has no limit has no header."""
    reset = next_reset_unix_s(now_unix_s)
    headers = {"x-jatevo-reset-at": iso_instant(reset)}
    if requests_limit < UNLIMITED_REQUESTS:
        headers |= {
            "x-ratelimit-limit-requests": str(requests_limit),
            "x-ratelimit-remaining-requests": str(max(0, requests_left)),
            "x-ratelimit-reset-requests": f"{reset - now_unix_s}s",
        }
    if budget_limit_nano_usd < UNLIMITED_BUDGET_NANO_USD:
        headers |= {
            "x-jatevo-budget-limit-usd": format_usd(budget_limit_nano_usd),
            "x-jatevo-budget-remaining-usd": format_usd(max(0, budget_left_nano_usd)),
        }
    return headers

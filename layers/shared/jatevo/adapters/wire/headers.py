"""The headers every answer carries: OpenAI's names for the request quota, our own for the budget."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jatevo.application.wanted import Reservation
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.calendar import iso_instant, next_reset_unix_s, period_end_unix_s
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.money import format_usd
from jatevo.domain.refusals import QuotaFacts, Scope
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Hold, Window


@dataclass(frozen=True, slots=True)
class Standing:
    """Both counters at one moment, and when each starts anew; None: at the end of the day."""

    requests_limit: int
    requests_left: int
    budget_limit_nano_usd: int
    budget_left_nano_usd: int
    requests_reset_unix_s: int | None = None
    budget_reset_unix_s: int | None = None
    prepaid_left_nano_usd: int | None = None
    """Of the balance that is spent after the budget; None: there is none, or it was not looked at."""


def standing_of(*windows: Window) -> Standing:
    """Return the counters of the windows that bind a caller."""
    return tightest(*(_standing_in(window) for window in windows))


def standing_with(reservation: Reservation, entry: LedgerEntry | None = None) -> Standing:
    """Return the counters right after a request was accepted, or, with its entry, what its settlement has left."""
    holds = dict(reservation.holds)
    windows = {window.key: window for window in reservation.windows}
    if entry is not None:
        windows = {key: _after(window, holds[key], entry) for key, window in windows.items()}
    standing = standing_of(*_seen_by(reservation, [windows[one.key] for one in reservation.binding_the_caller]))
    balance = next((window for key, window in windows.items() if kind_of(key) is Kind.PREPAID), None)
    if balance is None or _resold(reservation):
        return standing
    return replace(standing, prepaid_left_nano_usd=balance.budget_left_nano_usd)


def tightest(*standings: Standing) -> Standing:
    """Return, of each counter, the one with least left: an account's or a key's own, whichever stops first."""
    requests = min(standings, key=lambda standing: standing.requests_left)
    budget = min(standings, key=lambda standing: standing.budget_left_nano_usd)
    balances = [one.prepaid_left_nano_usd for one in standings if one.prepaid_left_nano_usd is not None]
    return Standing(
        requests.requests_limit,
        requests.requests_left,
        budget.budget_limit_nano_usd,
        budget.budget_left_nano_usd,
        requests.requests_reset_unix_s,
        budget.budget_reset_unix_s,
        min(balances, default=None),
    )


def standing_in(facts: QuotaFacts) -> Standing:
    """Return the counters a refusal speaks of, as far as they are the caller's to see."""
    shown, counted = facts.scope not in {Scope.ISSUER, Scope.LANE}, facts.scope is not Scope.LANE
    return Standing(
        facts.requests_limit if counted else UNLIMITED_REQUESTS,
        facts.requests_left if counted else UNLIMITED_REQUESTS,
        facts.budget_limit_nano_usd if shown else UNLIMITED_BUDGET_NANO_USD,
        facts.budget_left_nano_usd if shown else UNLIMITED_BUDGET_NANO_USD,
        facts.resets_at_unix_s or None,
        facts.resets_at_unix_s or None,
        facts.prepaid_left_nano_usd if shown else None,
    )


def without_budget(window: Window) -> Window:
    """Return a window as somebody sees it whose dollars are others'."""
    limits = replace(window.limits, budget_nano_usd=UNLIMITED_BUDGET_NANO_USD)
    return replace(window, limits=limits, budget_left_nano_usd=UNLIMITED_BUDGET_NANO_USD)


def _standing_in(window: Window) -> Standing:
    ends = period_end_unix_s(window.key.period)
    return Standing(
        requests_limit=window.limits.requests,
        requests_left=window.requests_left,
        budget_limit_nano_usd=window.limits.budget_nano_usd,
        budget_left_nano_usd=window.budget_left_nano_usd,
        requests_reset_unix_s=ends,
        budget_reset_unix_s=ends,
    )


def _after(window: Window, hold: Hold, entry: LedgerEntry) -> Window:
    """Return a window as the settlement of one of its holds leaves it, as far as the counters go."""
    back = hold.amount_nano_usd - entry.charged_in(window.key)
    return replace(
        window,
        requests_left=window.requests_left + (hold.requests if entry.gives_request_back else 0),
        budget_left_nano_usd=window.budget_left_nano_usd + back,
    )


def _resold(reservation: Reservation) -> bool:
    return reservation.wanted.caller.reseller_margin_bps is not None


def _seen_by(reservation: Reservation, windows: Sequence[Window]) -> Sequence[Window]:
    """Return windows as the caller sees them: what a reseller pays is not its customers' business."""
    if not _resold(reservation):
        return windows
    return [window if kind_of(window.key) is Kind.KEY else without_budget(window) for window in windows]


def limit_headers(standing: Standing, now_unix_s: int) -> dict[str, str]:
    """
    Return the headers that tell both counters. What has no limit has no header.

    `x-jatevo-reset-at` is when the budget that is shown starts anew; where none is, the requests that are.
    """
    day_over = next_reset_unix_s(now_unix_s)
    requests_reset = standing.requests_reset_unix_s or day_over
    budget_shown = standing.budget_limit_nano_usd < UNLIMITED_BUDGET_NANO_USD
    reset = standing.budget_reset_unix_s or day_over if budget_shown else requests_reset
    headers = {"x-jatevo-reset-at": iso_instant(reset)}
    if standing.requests_limit < UNLIMITED_REQUESTS:
        headers |= {
            "x-ratelimit-limit-requests": str(standing.requests_limit),
            "x-ratelimit-remaining-requests": str(max(0, standing.requests_left)),
            "x-ratelimit-reset-requests": f"{max(0, requests_reset - now_unix_s)}s",
        }
    if budget_shown:
        headers |= {
            "x-jatevo-budget-limit-usd": format_usd(standing.budget_limit_nano_usd),
            "x-jatevo-budget-remaining-usd": format_usd(max(0, standing.budget_left_nano_usd)),
        }
    if standing.prepaid_left_nano_usd is not None:
        headers["x-jatevo-prepaid-remaining-usd"] = format_usd(max(0, standing.prepaid_left_nano_usd))
    return headers

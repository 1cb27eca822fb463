"""
The answer of `GET /account/v1/budget`: balance × price × policy = limits, in figures and in words.

Amounts of money, prices and tokens are decimal strings. `limits` are in force; what they would be by the figures beside
them is `entitlement`, and the two agree but for the time between two renewals. `why` says what keeps the budget from
being larger, each with what helps.
"""

from typing import Any

from jatevo.application.entitlements import Entitlement
from jatevo.application.self_service.budgets import Budget
from jatevo.domain.calendar import iso_instant
from jatevo.domain.entitlement import EntitlementPolicy, Holding, Why
from jatevo.domain.holdings import Snapshot
from jatevo.domain.money import BASIS_POINTS, format_usd
from jatevo.domain.oracle import Quote
from jatevo.domain.prices import format_price
from jatevo.domain.windows import Window

_WORDS = {
    Why.NO_WALLET: "No wallet is linked. Link one that holds the token.",
    Why.NO_SNAPSHOT: "There is no recent snapshot of holdings yet. One is taken every day shortly before 00:00 UTC.",
    Why.NO_PRICE: "The token has no trusted price right now. What was given today stays; nothing new is given.",
    Why.PRICE_HELD_BACK: "The token's price has risen. A rise counts slowly: by the average of a day, and within "
    "the most that a day may add.",
    Why.CLAIMED_ELSEWHERE: "A wallet counts for the account that it was linked to first today, until 00:00 UTC.",
    Why.OTHER_CHAIN: "No token on a wallet's chain counts here. Link a wallet of a chain that the snapshot names.",
    Why.NOT_IN_SNAPSHOT: "What a wallet held in today's snapshot is not known yet. It is read within a quarter hour.",
    Why.BOUGHT_SINCE: "What was bought after the snapshot counts from the next one: hold it until 00:00 UTC.",
    Why.SOLD_SINCE: "What left a wallet after the snapshot counts no more.",
    Why.BELOW_MINIMUM: "The holdings are worth less than the {minimum} from which they count. Hold more.",
    Why.WALLET_CAP: "A wallet counts for {wallet_cap} at most.",
    Why.ACCOUNT_CAP: "Holdings give an account {account_cap} and {account_requests} requests a day at most.",
    Why.STARTER: "This is the starter allowance; holdings worth more than it replace it.",
}
_HOLD_MORE = {
    "code": "holdings",
    "message": "All that you hold counts. What you hold when the next snapshot is taken, shortly before 00:00 UTC, "
    "counts from then on: hold more.",
}
"""What is said where nothing else bounds a budget."""


def budget_report(budget: Budget) -> dict[str, Any]:
    """Return the answer."""
    limits, entitlement = budget.account.limits, budget.entitlement
    return {
        "object": "budget",
        "limits_from": str(budget.account.limits_from),
        "limits": {
            "requests_per_day": limits.requests,
            "budget_usd_per_day": format_usd(limits.budget_nano_usd),
            "concurrency": limits.concurrency,
        },
        "today": _today(budget.window),
        "resets_at": iso_instant(budget.resets_at_unix_s),
        "prepaid": None if budget.balance is None else _prepaid(budget.balance),
        "entitlement": None if entitlement is None else _entitlement(entitlement, budget.policy),
    }


def _today(window: Window) -> dict[str, Any]:
    used = window.limits.requests - window.requests_left
    return {
        "requests_used": used,
        "requests_remaining": max(0, window.requests_left),
        "requests_in_flight": len(window.open),
        "budget_spent_usd": format_usd(window.settled_nano_usd),
        "budget_in_flight_usd": format_usd(window.held_nano_usd),
        "budget_remaining_usd": format_usd(max(0, window.budget_left_nano_usd)),
    }


def _prepaid(balance: Window) -> dict[str, Any]:
    return {
        "spent_usd": format_usd(balance.settled_nano_usd),
        "in_flight_usd": format_usd(balance.held_nano_usd),
        "remaining_usd": format_usd(max(0, balance.budget_left_nano_usd)),
    }


def _entitlement(entitlement: Entitlement, policy: EntitlementPolicy) -> dict[str, Any]:
    earned = entitlement.earned
    return {
        "day": entitlement.day,
        "explanation": _explanation(entitlement, policy),
        "value_usd": format_usd(earned.value_nano_usd),
        "requests_per_day": earned.requests,
        "budget_usd_per_day": format_usd(earned.budget_nano_usd),
        "wallets": [_wallet(holding) for holding in entitlement.holdings],
        "snapshot": None if entitlement.snapshot is None else _snapshot(entitlement.snapshot),
        "price": _price(entitlement.quote),
        "policy": _policy(policy),
        "why": [{"code": str(why), "message": _words(why, policy)} for why in sorted(earned.why)] or [_HOLD_MORE],
    }


def _explanation(entitlement: Entitlement, policy: EntitlementPolicy) -> str:
    earned, price = entitlement.earned, entitlement.quote.price_pico_usd
    tokens = " + ".join(_tokens(held.counted_units, held.decimals) for held in entitlement.holdings) or "0"
    worth = "no price" if price is None else f"${format_price(price)}"
    return (
        f"{tokens} tokens × {worth} = ${format_usd(earned.value_nano_usd)}; at {_dollars(policy)} of budget and "
        f"{_requests(policy)} a day for each dollar: "
        f"${format_usd(earned.budget_nano_usd)} and {earned.requests} requests"
    )


def _wallet(holding: Holding) -> dict[str, Any]:
    def shown(units: int | None) -> str | None:
        return None if units is None else _tokens(units, holding.decimals)

    return {
        "wallet": str(holding.wallet),
        "counts": holding.claimed,
        "counted": shown(holding.counted_units),
        "in_snapshot": shown(holding.snapshot_units),
        "seen_since": shown(holding.seen_units),
        "why": sorted(str(why) for why in holding.why()),
    }


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    tokens = [
        {
            "token": str(read.token),
            "height": read.moment.height,
            "at": iso_instant(read.moment.unix_s),
            "decimals": read.decimals,
        }
        for read in snapshot.tokens.values()
    ]
    return {"id": snapshot.id, "taken_at": iso_instant(snapshot.taken_at_unix_s), "tokens": tokens}


def _price(quote: Quote) -> dict[str, Any]:
    return {
        "usd": None if quote.price_pico_usd is None else format_price(quote.price_pico_usd),
        "state": str(quote.state),
        "basis": str(quote.basis),
        "as_of": None if quote.as_of_unix_s is None else iso_instant(quote.as_of_unix_s),
    }


def _policy(policy: EntitlementPolicy) -> dict[str, Any]:
    return {
        "budget_usd_per_usd_held": _dollars(policy).removeprefix("$"),
        "requests_per_1000_usd_held": policy.requests_per_1000_usd,
        "minimum_usd": format_usd(policy.minimum_nano_usd),
        "wallet_cap_usd": format_usd(policy.wallet_cap_nano_usd),
        "account_cap_usd_per_day": format_usd(policy.account_cap_nano_usd),
        "account_cap_requests_per_day": policy.account_cap_requests,
        "starter_requests_per_day": policy.starter_requests,
        "starter_usd_per_day": format_usd(policy.starter_nano_usd),
    }


def _words(why: Why, policy: EntitlementPolicy) -> str:
    return _WORDS[why].format(
        minimum=f"${format_usd(policy.minimum_nano_usd)}",
        wallet_cap=f"${format_usd(policy.wallet_cap_nano_usd)}",
        account_cap=f"${format_usd(policy.account_cap_nano_usd)}",
        account_requests=policy.account_cap_requests,
    )


def _dollars(policy: EntitlementPolicy) -> str:
    return f"${_tokens(policy.budget_bps, len(str(BASIS_POINTS)) - 1)}"


def _requests(policy: EntitlementPolicy) -> str:
    return f"{_tokens(policy.requests_per_1000_usd, 3)} requests"


def _tokens(units: int, decimals: int) -> str:
    """Return base units as an exact decimal string."""
    whole, fraction = divmod(units, 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{whole}.{digits}" if digits else str(whole)

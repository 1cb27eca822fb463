"""
The public pages' data as JSON. Money is a decimal string of US dollars, counts are integers.

`first_empty` says which limit ended a simulated day: `requests`, `budget`, `none`, or `minimum` when the holding earns
nothing at all.
"""

from collections.abc import Sequence
from typing import Any

from jatevo.adapters.wire.model_list import model_object
from jatevo.application.showcase import Simulated, Supposed
from jatevo.domain.catalogue import Model
from jatevo.domain.money import format_usd
from jatevo.domain.oracle import Quote
from jatevo.domain.prices import format_price
from jatevo.domain.refusals import Code
from jatevo.domain.windows import Bound

_ENDED_BY = {
    Bound.REQUESTS_EMPTY: ("requests", Code.REQUEST_QUOTA_EXHAUSTED),
    Bound.BUDGET_EMPTY: ("budget", Code.BUDGET_EXHAUSTED),
    Bound.BUDGET_TOO_SMALL: ("budget", Code.PROJECTED_COST_EXCEEDS_BUDGET),
}


def showcase(models: Sequence[Model], quote: Quote, margin_bps: int) -> dict[str, Any]:
    """Return what is on sale, and what the token is worth."""
    price = None if quote.price_pico_usd is None else format_price(quote.price_pico_usd)
    return {
        "models": [model_object(model, margin_bps) for model in models],
        "token": {"price_usd": price, "state": quote.state.value, "as_of_unix_s": quote.as_of_unix_s},
    }


def simulation(supposed: Supposed, result: Simulated) -> dict[str, Any]:
    """Return a simulated day."""
    gain, day = result.earned, result.day
    first, code = ("none", None) if day.bound is None else _ENDED_BY[day.bound]
    if not gain.requests and not gain.budget_nano_usd:
        first = "minimum"
    return {
        "value_usd": format_usd(gain.value_nano_usd),
        "limits": {"requests": gain.requests, "budget_usd": format_usd(gain.budget_nano_usd)},
        "charge_usd": format_usd(result.charge_nano_usd),
        "sent": supposed.requests,
        "used": {"requests": day.served, "budget_usd": format_usd(day.spent_nano_usd)},
        "refused": supposed.requests - day.served,
        "first_empty": first,
        "code": None if code is None else code.value,
    }

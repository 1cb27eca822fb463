"""
A day of equal requests against two limits: what is served, and which limit ends it.

The same transitions decide as for real requests (`jatevo.domain.windows`): what this says is what the gate would do
with them, one after the other.
"""

from dataclasses import dataclass, replace

from jatevo.domain.windows import Bound, Hold, Limits, WindowKey, bound_against, opened


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """`served` of the requests passed; `bound` refused the next one, or is None when all of them passed."""

    served: int
    spent_nano_usd: int
    bound: Bound | None


def simulated_day(limits: Limits, charge_nano_usd: int, sent: int) -> SimulatedDay:
    """Return what becomes of `sent` requests that each cost exactly what is projected for them."""
    affordable = sent if charge_nano_usd == 0 else limits.budget_nano_usd // charge_nano_usd
    served = min(sent, limits.requests, affordable)
    spent = served * charge_nano_usd
    window = opened(WindowKey("simulated", "day"), limits, 1)
    after = replace(
        window,
        requests_left=limits.requests - served,
        budget_left_nano_usd=limits.budget_nano_usd - spent,
        settled_nano_usd=spent,
    )
    bound = None if served == sent else bound_against(after, Hold(charge_nano_usd, 0, ""))
    return SimulatedDay(served, spent, bound)

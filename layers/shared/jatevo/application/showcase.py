"""
What the public pages show: models with their prices, what the token is worth, and a simulated day.

Everything comes from what decides real requests: the catalogue, the oracle's quote, the entitlement's policy and the
windows' transitions. Nobody has to say who they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jatevo.application.ports import Clock, Directory
from jatevo.application.prices import Prices
from jatevo.domain.catalogue import Model
from jatevo.domain.entitlement import Earned, EntitlementPolicy, Holding, earned
from jatevo.domain.money import charge_nano_usd
from jatevo.domain.oracle import Quote
from jatevo.domain.simulated_day import SimulatedDay, simulated_day
from jatevo.domain.tokens import TokenUsage
from jatevo.domain.wallets import Namespace, Wallet
from jatevo.domain.windows import Limits

_ANYBODY = Wallet(Namespace.SOLANA, "1" * 32)


@dataclass(frozen=True, slots=True)
class Supposed:
    """A holder and a day of theirs: whole tokens held, their price, and equal requests to one model."""

    tokens: int
    price_pico_usd: int
    model: str
    input_tokens: int
    output_tokens: int
    requests: int


@dataclass(frozen=True, slots=True)
class Simulated:
    """What becomes of it."""

    earned: Earned
    charge_nano_usd: int
    day: SimulatedDay


class Showcase:
    """The use cases. `margin_bps`: of accounts without one of their own."""

    def __init__(
        self, directory: Directory, prices: Prices, policy: EntitlementPolicy, clock: Clock, *, margin_bps: int
    ) -> None:
        self._directory = directory
        self._prices = prices
        self._policy = policy
        self._clock = clock
        self.margin_bps = margin_bps

    async def models(self) -> Sequence[Model]:
        """Return the models on sale to everybody."""
        return (await self._directory.catalogue()).public()

    async def quote(self) -> Quote:
        """Return what the token is worth now."""
        return await self._prices.quote(self._clock.now_ms() // 1000)

    async def simulate(self, supposed: Supposed) -> Simulated | None:
        """Return what becomes of a supposed day, or None when there is no such model."""
        model = (await self._directory.catalogue()).models.get(supposed.model)
        if model is None:
            return None
        holding = Holding(_ANYBODY, decimals=0, snapshot_units=supposed.tokens, seen_units=None)
        gain = earned(self._policy, [holding], supposed.price_pico_usd)
        usage = TokenUsage(input_tokens=supposed.input_tokens, output_tokens=supposed.output_tokens)
        charge = charge_nano_usd(model.price.cost_femto_usd(usage), self.margin_bps)
        limits = Limits(requests=gain.requests, budget_nano_usd=gain.budget_nano_usd)
        return Simulated(gain, charge, simulated_day(limits, charge, supposed.requests))

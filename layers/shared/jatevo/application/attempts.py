"""
How often something may be tried: counted in periods of ten minutes, by who asks and by what is asked for.

A source is what the gateway saw, never what a client says of itself; an IPv6 source is its /64. The bound of one wallet
is far above that of one source, because anybody may ask for a challenge for anybody's wallet: to keep its owner out for
ten minutes takes many sources.
"""

from dataclasses import dataclass

from jatevo.application.identity import Counts
from jatevo.application.ports import Clock
from jatevo.domain.ip_ranges import source_network
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.wallets import Wallet

PERIOD_S = 600


@dataclass(frozen=True, slots=True)
class AttemptBounds:
    """What may be done in one period."""

    challenges_per_source: int = 30
    challenges_per_wallet: int = 300
    signatures_per_source: int = 30
    signatures_per_wallet: int = 300
    changes_per_account: int = 120


class Attempts:
    """Counts attempts; each method returns the refusal of one too many."""

    def __init__(self, counts: Counts, clock: Clock, bounds: AttemptBounds) -> None:
        self._counts = counts
        self._clock = clock
        self._bounds = bounds

    async def challenge_from(self, source_ip: str | None) -> Refusal | None:
        return await self._count(f"challenge/{source_network(source_ip)}", self._bounds.challenges_per_source)

    async def challenge_for(self, wallet: Wallet) -> Refusal | None:
        return await self._count(f"challenge/{wallet}", self._bounds.challenges_per_wallet)

    async def signature_from(self, source_ip: str | None) -> Refusal | None:
        return await self._count(f"signature/{source_network(source_ip)}", self._bounds.signatures_per_source)

    async def signature_of(self, wallet: Wallet) -> Refusal | None:
        return await self._count(f"signature/{wallet}", self._bounds.signatures_per_wallet)

    async def change_of(self, account_id: str) -> Refusal | None:
        """Count a change that an account makes to its keys or wallets."""
        return await self._count(f"change/{account_id}", self._bounds.changes_per_account)

    async def _count(self, name: str, most: int) -> Refusal | None:
        now = self._clock.now_ms() // 1000
        period = now // PERIOD_S
        over = (period + 1) * PERIOD_S
        if await self._counts.count(name, str(period), most, over + PERIOD_S):
            return None
        return Refusal(
            Code.RATE_LIMITED, f"Too many attempts. Try again in {over - now} seconds.", retry_after_s=over - now
        )

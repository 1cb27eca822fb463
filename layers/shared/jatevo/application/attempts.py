"""
How often something may be tried: counted in periods of ten minutes, by who asks and by what is asked.

A source is what the gateway saw, never what a client says of itself; an IPv6 source is its /64. A wallet has a bound
only for what asks its chain. Anybody may ask for challenges for anybody's wallet and answer them with nonsense: a bound
that the owner's own signature met too would let others keep the owner out.
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
    signatures_per_source: int = 30
    questions_per_wallet: int = 300
    changes_per_account: int = 120


class Attempts:
    """Counts attempts; each method returns the refusal of one too many."""

    def __init__(self, counts: Counts, clock: Clock, bounds: AttemptBounds) -> None:
        self._counts = counts
        self._clock = clock
        self._bounds = bounds

    async def challenge_from(self, source_ip: str | None) -> Refusal | None:
        return await self._count(f"challenge/{source_network(source_ip)}", self._bounds.challenges_per_source)

    async def signature_from(self, source_ip: str | None) -> Refusal | None:
        return await self._count(f"signature/{source_network(source_ip)}", self._bounds.signatures_per_source)

    async def question_about(self, wallet: Wallet) -> Refusal | None:
        """Count a signature that a wallet's key did not make: its chain is to be asked."""
        return await self._count(f"question/{wallet}", self._bounds.questions_per_wallet)

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

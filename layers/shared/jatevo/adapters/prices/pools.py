"""
What an indexer says of the token's pools, made one price.

A pool counts when the token is its base side, what it is quoted in may be quoted in (never the token itself), and it is
deep, old and busy enough. Of those that count the median by depth is taken: half the money trades at this price or
below, so a shallow pool beside a deep one moves nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from jatevo.adapters.prices.failures import SourceFailed
from jatevo.domain.prices import Failing

MIN_POOL_AGE_S = 3 * 86_400
"""A pool made for an attack is young."""
MIN_TRADES_A_DAY = 10
"""A pool nobody trades in keeps a price nobody would pay."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool. `price_usd` is of the base side; `depth_usd` what both sides are worth."""

    address: str
    base: str
    quote: str
    price_usd: Decimal
    depth_usd: Decimal
    made_at_unix_s: int
    trades_a_day: int


@dataclass(frozen=True, slots=True)
class PoolRules:
    """Which pools count. `quotes`: what they may be quoted in, by address; empty: anything but the token."""

    token: str
    quotes: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    """The only pools that count; empty: any."""
    min_depth_usd: Decimal = Decimal(10_000)
    """Below it a few thousand dollars move the price by half."""
    min_age_s: int = MIN_POOL_AGE_S
    min_trades_a_day: int = MIN_TRADES_A_DAY

    def counts(self, pool: Pool, now_unix_s: int) -> bool:
        """Return whether a pool of the token is deep, old and busy enough."""
        return (
            pool.depth_usd >= self.min_depth_usd
            and now_unix_s - pool.made_at_unix_s >= self.min_age_s
            and pool.trades_a_day >= self.min_trades_a_day
        )

    def of_token(self, pool: Pool) -> bool:
        """Return whether a pool prices the token, in something that may price it."""
        ours, theirs = same(pool.base, self.token), same(pool.quote, self.token)
        allowed = not self.quotes or any(same(pool.quote, quote) for quote in self.quotes)
        known = not self.pools or any(same(pool.address, known) for known in self.pools)
        return ours and not theirs and allowed and known


def price_of(pools: Iterable[Pool], rules: PoolRules, now_unix_s: int) -> Fraction:
    """Return the price of the token in US dollars, exactly. Raises SourceFailed."""
    ours = [pool for pool in pools if rules.of_token(pool)]
    if not ours:
        raise SourceFailed(Failing.UNKNOWN_TOKEN, "no pool has the token as its base in an allowed quote")
    counting = sorted((pool for pool in ours if rules.counts(pool, now_unix_s)), key=lambda pool: pool.price_usd)
    if not counting:
        raise SourceFailed(Failing.TOO_THIN, f"none of {len(ours)} pools is deep, old and busy enough")
    half, below = sum(pool.depth_usd for pool in counting) / 2, Decimal(0)
    for pool in counting:
        below += pool.depth_usd
        if below >= half:
            return Fraction(pool.price_usd)
    raise AssertionError("depths are positive: some pool reaches half of their sum")


def same(one: str, other: str) -> bool:
    """Return whether two addresses are one: EVM's are written in any case, Solana's in one."""
    return one == other or (one[:2] == other[:2] == "0x" and one.lower() == other.lower())

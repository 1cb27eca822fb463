"""
Uniswap v3's ticks as prices, in integers.

A tick is the logarithm of a price to the base 1.0001: token1 per token0, in base units. Powers are reckoned in fixed
point with 256 bits behind the point, so that even at the outermost tick more than 100 digits of them hold: nothing of a
price is lost that a pico-dollar could show. Source: the Uniswap v3 whitepaper, 6.1; TickMath.sol for the range.
"""

from fractions import Fraction
from functools import cache
from math import isqrt

HIGHEST_TICK = 887_272
_BITS = 256
_ONE = 1 << _BITS


def price_at(tick: int) -> Fraction:
    """Return 1.0001 to the power of `tick`: token1 per token0, in base units. Raises ValueError outside the range."""
    if abs(tick) > HIGHEST_TICK:
        raise ValueError(f"{tick} is no tick")
    power = Fraction(_ONE, _downward(abs(tick)))
    return power if tick >= 0 else 1 / power


def mean_tick(first_cumulative: int, last_cumulative: int, seconds: int) -> int:
    """Return the time-weighted mean tick between two readings of a pool's `tickCumulative`, rounded down."""
    return (last_cumulative - first_cumulative) // seconds


def mean_liquidity(first_per_liquidity_x128: int, last_per_liquidity_x128: int, seconds: int) -> int | None:
    """
    Return the harmonic mean of the liquidity in range between two readings of `secondsPerLiquidityCumulativeX128`,
    rounded down; None when the pool does not count it. One block's flood of liquidity hardly raises a harmonic mean.
    """
    spread = (last_per_liquidity_x128 - first_per_liquidity_x128) % (1 << 160)
    return (seconds << 128) // spread if spread else None


def depth_in_quote(liquidity: int, quote_per_base: Fraction) -> int:
    """Return the virtual reserve of the quote token, in base units: what stands against a trade at this price."""
    return isqrt(liquidity * liquidity * quote_per_base.numerator // quote_per_base.denominator)


def _downward(tick: int) -> int:
    """Return 1.0001 to the power of −`tick`, with `_BITS` bits behind the point: it only shrinks, so nothing grows."""
    power, factor = _ONE, _factor()
    while tick:
        if tick & 1:
            power = power * factor >> _BITS
        factor = factor * factor >> _BITS
        tick >>= 1
    return power


@cache
def _factor() -> int:
    return _ONE * 10_000 // 10_001

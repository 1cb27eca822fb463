"""Ticks are prices, to more digits than a price has."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.ticks import HIGHEST_TICK, depth_in_quote, mean_liquidity, mean_tick, price_at

TICKS = st.integers(-HIGHEST_TICK, HIGHEST_TICK)
LOWEST_ROOT_X96, HIGHEST_ROOT_X96 = 4295128739, 1461446703485210103287273052203988822378723970342
"""Uniswap's own: TickMath.MIN_SQRT_RATIO and MAX_SQRT_RATIO."""


@pytest.mark.parametrize("tick", [0, 1, -1, 2, 60, -60, 1000, -1000, 12345])
def test_a_tick_is_the_power_it_stands_for(tick: int) -> None:
    exact = Fraction(10001, 10000) ** tick
    assert abs(price_at(tick) / exact - 1) < Fraction(1, 10**60)


@pytest.mark.parametrize(("tick", "root"), [(-HIGHEST_TICK, LOWEST_ROOT_X96), (HIGHEST_TICK, HIGHEST_ROOT_X96)])
def test_the_outermost_ticks_are_those_of_uniswaps_own_arithmetic(tick: int, root: int) -> None:
    assert abs(price_at(tick) / (Fraction(root, 2**96) ** 2) - 1) < Fraction(1, 10**9)


@given(TICKS, TICKS)
def test_a_higher_tick_is_a_higher_price(one: int, other: int) -> None:
    assert (one < other) == (price_at(one) < price_at(other))


@given(st.integers(-HIGHEST_TICK // 2, HIGHEST_TICK // 2), st.integers(-HIGHEST_TICK // 2, HIGHEST_TICK // 2))
def test_ticks_add_where_prices_multiply(one: int, other: int) -> None:
    product = price_at(one) * price_at(other)
    assert abs(price_at(one + other) / product - 1) < Fraction(1, 10**30)


@pytest.mark.parametrize("tick", [HIGHEST_TICK + 1, -HIGHEST_TICK - 1])
def test_there_is_nothing_beyond(tick: int) -> None:
    with pytest.raises(ValueError, match="is no tick"):
        price_at(tick)


def test_a_mean_tick_is_rounded_down_as_the_oracle_library_does() -> None:
    assert mean_tick(0, -7, 2) == -4
    assert mean_tick(0, 7, 2) == 3


@given(st.integers(1, 2**100), st.integers(1, 10**6))
def test_the_mean_liquidity_of_a_pool_that_never_changed_is_its_liquidity(liquidity: int, seconds: int) -> None:
    counted = (seconds << 128) // liquidity
    mean = mean_liquidity(2**160 - 5, (2**160 - 5 + counted) % 2**160, seconds)
    assert mean is not None
    assert abs(mean - liquidity) <= liquidity * liquidity // (seconds << 128) + 1


def test_a_pool_that_does_not_count_liquidity_has_no_mean() -> None:
    assert mean_liquidity(0, 0, 1800) is None


def test_depth_is_the_virtual_reserve_of_the_quote() -> None:
    assert depth_in_quote(10**18, Fraction(4)) == 2 * 10**18
    assert depth_in_quote(10**18, Fraction(1, 4)) == 5 * 10**17

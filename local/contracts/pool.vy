# pragma version ==0.4.3
"""
@title The part of a Uniswap v3 pool that a time-weighted price is read from; its deployer sets tick and liquidity.
@notice Observations follow Uniswap's rules: `tickCumulative` grows by tick × seconds, values between two observations
        are interpolated by the ticks that stood, and asking beyond the oldest fails with "OLD". So does the time per
        liquidity, in 1/2^128.
"""

struct Observation:
    timestamp: uint256
    tick: int24
    cumulative: int56
    liquidity: uint128
    per_liquidity: uint160

MOST: constant(uint256) = 256

token0: public(immutable(address))
token1: public(immutable(address))
fee: public(immutable(uint24))
setter: public(immutable(address))
liquidity: public(uint128)
sqrt_price_x96: uint160
observations: DynArray[Observation, MOST]


@deploy
def __init__(token0_: address, token1_: address, fee_: uint24):
    token0 = token0_
    token1 = token1_
    fee = fee_
    setter = msg.sender


@external
def set(tick: int24, sqrt_price_x96: uint160, liquidity: uint128):
    """
    @notice From this block on, the pool stands at `tick`. The caller sees to it that the square root agrees.
    """
    assert msg.sender == setter, "only the deployer sets"
    cumulative: int56 = 0
    per_liquidity: uint160 = 0
    if len(self.observations) != 0:
        cumulative, per_liquidity = self._cumulative_at(block.timestamp)
    self.observations.append(
        Observation(
            timestamp=block.timestamp,
            tick=tick,
            cumulative=cumulative,
            liquidity=liquidity,
            per_liquidity=per_liquidity,
        )
    )
    self.sqrt_price_x96 = sqrt_price_x96
    self.liquidity = liquidity


@external
@view
def slot0() -> (uint160, int24, uint16, uint16, uint16, uint8, bool):
    count: uint16 = convert(len(self.observations), uint16)
    last: Observation = self.observations[len(self.observations) - 1]
    return self.sqrt_price_x96, last.tick, count - 1, count, count, 0, True


@external
@view
def observe(seconds_agos: DynArray[uint32, 16]) -> (DynArray[int56, 16], DynArray[uint160, 16]):
    ticks: DynArray[int56, 16] = []
    liquidities: DynArray[uint160, 16] = []
    for ago: uint32 in seconds_agos:
        tick: int56 = 0
        per_liquidity: uint160 = 0
        tick, per_liquidity = self._cumulative_at(block.timestamp - convert(ago, uint256))
        ticks.append(tick)
        liquidities.append(per_liquidity)
    return ticks, liquidities


@internal
@view
def _cumulative_at(at: uint256) -> (int56, uint160):
    for back: uint256 in range(MOST):
        if back == len(self.observations):
            break
        found: Observation = self.observations[len(self.observations) - 1 - back]
        if found.timestamp <= at:
            seconds: uint256 = at - found.timestamp
            cumulative: int56 = found.cumulative + convert(found.tick, int56) * convert(seconds, int56)
            spread: uint256 = (seconds << 128) // convert(max(found.liquidity, 1), uint256)
            return cumulative, found.per_liquidity + convert(spread, uint160)
    raise "OLD"

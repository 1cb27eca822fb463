"""
The token's market, and three sources that tell of it: two are honest, and at times silent; one says what it likes.

An honest source is at most two in a hundred off. Whatever the third says, no price may be above what the honest two
have said.
"""

import asyncio

from jatevo.application.prices import PriceSource
from jatevo.domain.prices import Failing, Heard, NoObservation, Observation
from jatevo_testing.simulation.chance import Chance

_MAX_AGE_S = 900
_LOWEST_PICO_USD, _HIGHEST_PICO_USD = 10**5, 10**7


class TokenMarket:
    """See the module. `most_said_pico_usd`: the highest price that an honest source has told."""

    def __init__(self, chance: Chance, first_pico_usd: int) -> None:
        self.chance = chance
        self.price_pico_usd = first_pico_usd
        self.most_said_pico_usd = first_pico_usd
        self.sources: list[PriceSource] = [_Source(self, "a"), _Source(self, "b"), _Liar(self, "c")]

    def move(self) -> None:
        """The price rises or falls: by a little, or by much."""
        percent = self.chance.choice((98, 103, 115, 85, 60, 200))
        self.price_pico_usd = min(_HIGHEST_PICO_USD, max(_LOWEST_PICO_USD, self.price_pico_usd * percent // 100))

    def told(self) -> int:
        """Return what an honest source tells now."""
        price = self.price_pico_usd * self.chance.choice((100, 98, 102)) // 100
        self.most_said_pico_usd = max(self.most_said_pico_usd, price)
        return price


class _Source:
    def __init__(self, market: TokenMarket, name: str) -> None:
        self._market = market
        self.name = name

    async def observe(self, now_unix_s: int) -> Heard:
        chance = self._market.chance
        await asyncio.sleep(chance.choice((0, 0.3, 5, 30)))
        if chance.happens(0.1):
            return NoObservation(self.name, Failing.UNREACHABLE)
        return Observation(self.name, self._price(), now_unix_s - chance.choice((0, 60, 2000)), _MAX_AGE_S)

    def _price(self) -> int:
        return self._market.told()


class _Liar(_Source):
    def _price(self) -> int:
        return self._market.price_pico_usd * self._market.chance.choice((1, 2, 10, 1000)) // 2

"""
The service as a whole, in operators' hands: stopped and resumed, and what a day may cost at most.
"""

from collections.abc import Callable
from dataclasses import replace

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import Refused
from jatevo.application.health import Health
from jatevo.application.ports import Clock
from jatevo.application.routes_store import HealthStore
from jatevo.application.spending import DailySpend, Spending
from jatevo.domain.service import CEILING, Pause, Service

type Change = Callable[[Service], Service]

_MOST_TRIES = 5


class ServiceSwitch:
    """Stops and resumes the service. Processes follow within the seconds for which they keep what they have read."""

    def __init__(self, store: HealthStore, spend: DailySpend, health: Health, clock: Clock) -> None:
        self._store = store
        self._spend = spend
        self._health = health
        self._clock = clock

    async def show(self) -> Spending:
        """Return what was spent today, as found by the last run that looked, and what stops the service."""
        return await self._spend.show()

    async def stop(self, operator: str, reason: str) -> Spending:
        """Take no further requests; those under way end. Raises InvalidValue, Refused."""
        pause = Pause(operator, bounds.reason(reason), self._clock.now_ms() // 1000)
        await self._change(lambda service: replace(service, pause=pause))
        return await self.show()

    async def resume(self, reason: str) -> Spending:
        """Take requests again. Raises InvalidValue, Refused while the ceiling is what stops it."""
        bounds.reason(reason)

        def resumed(service: Service) -> Service:
            pause = service.pause_at(self._clock.now_ms() // 1000)
            if pause is None:
                raise Refused("The service is not stopped.")
            if pause.by == CEILING:
                raise Refused("The day's ceiling is reached; raise it, and the service goes on.")
            return replace(service, pause=None)

        await self._change(resumed)
        return await self.show()

    async def set_ceiling(self, ceiling_nano_usd: int | None, reason: str) -> Spending:
        """
        Set what a day may cost at most; 0: no ceiling, None: that of the settings. It stops or resumes the service at
        once, by what was last found. Raises InvalidValue, Refused.
        """
        bounds.reason(reason)
        await self._change(lambda service: replace(service, ceiling_nano_usd=ceiling_nano_usd))
        judged = await self._spend.judge()
        self._health.forget()
        return judged

    async def _change(self, change: Change) -> None:
        for _ in range(_MOST_TRIES):
            if await self._store.put_service(change((await self._store.read()).service)):
                self._health.forget()
                return
        raise Refused("Others change the service at this moment. Try again.")

"""
What a day comes to, by all accounts, and the ceiling that stops the service.

No request pays for it with a write. Each minute, before windows are swept, those are looked at that requests have used
since the last run: a window stands in the sweep index from its first open reservation until a run of the sweeper finds
nothing open in it. What each of them has settled is remembered, so that a run reads what is in use, not what there is.

`spent` is charges and exposure of the requests that were reserved on that UTC day: never less than what they cost
upstream, overruns aside, and more by the margin. What may be spent beyond the ceiling is bounded by what is admitted
from the moment it is reached until every process knows: a run each minute and its duration, then the seconds for which
a process keeps what it has read; and by what was under way at that moment.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jatevo.application.meter import Meter
from jatevo.application.ports import Clock, Conflict, WindowStore
from jatevo.application.routes_store import HealthStore
from jatevo.domain import metrics
from jatevo.domain.binding import Kind, kind_of
from jatevo.domain.calendar import utc_day
from jatevo.domain.service import Pause, Service, percent_of
from jatevo.domain.windows import Window, WindowKey

_WHENEVER_S = 2**40
_MOST_WINDOWS_PER_SHARD = 50_000
"""More than a page of the index holds."""
_AT_ONCE = 32
_MOST_TRIES = 5


class SpendStore(Protocol):
    """What is remembered of windows that were looked at. Raises StoreError."""

    async def of_day(self, day: str) -> Mapping[str, int]:
        """Return what was spent on a day, in nano-USD, by the owner of the window."""
        ...

    async def balances(self) -> Mapping[str, int]:
        """Return what each prepaid balance had settled when it was last looked at, in nano-USD."""
        ...

    async def note(self, day: str, owner: str, nano_usd: int, balance_nano_usd: int | None = None) -> None:
        """Remember what was spent on a day by an owner, and, of a balance, what it had settled."""
        ...


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent today, what may be, and what stops the service."""

    spent_nano_usd: int
    ceiling_nano_usd: int
    pause: Pause | None


class DailySpend:
    """Adds up the day. `default_ceiling_nano_usd`: where no operator has set one; 0: none."""

    def __init__(
        self,
        windows: WindowStore,
        store: SpendStore,
        health: HealthStore,
        clock: Clock,
        *,
        default_ceiling_nano_usd: int = 0,
    ) -> None:
        self._windows = windows
        self._store = store
        self._health = health
        self._clock = clock
        self._default = default_ceiling_nano_usd

    async def run(self) -> Spending:
        """Look at what is in use, and stop the service when the ceiling is reached. Raises StoreError."""
        day = utc_day(self._now())
        spent = dict(await self._store.of_day(day))
        balances = await self._store.balances()
        places = asyncio.Semaphore(_AT_ONCE)

        async def looked_at(key: WindowKey) -> None:
            async with places:
                window = await self._windows.read(key)
                if window is not None:
                    await self._note(day, window, spent, balances)

        due = await self._windows.due(self._now() + _WHENEVER_S, _MOST_WINDOWS_PER_SHARD)
        await asyncio.gather(*(looked_at(key) for key in due if _counts(key, day)))
        return await self._judged(sum(spent.values()))

    async def show(self) -> Spending:
        """Return what the last run found. Raises StoreError."""
        spent = sum((await self._store.of_day(utc_day(self._now()))).values())
        service = (await self._health.read()).service
        return self._spending(spent, service)

    async def judge(self) -> Spending:
        """Judge anew by what the last run found: after the ceiling was changed. Raises StoreError."""
        return await self._judged((await self.show()).spent_nano_usd)

    async def _note(self, day: str, window: Window, spent: dict[str, int], balances: Mapping[str, int]) -> None:
        owner, balance = window.key.owner, None
        found = window.settled_nano_usd + window.exposed_nano_usd
        if kind_of(window.key) is Kind.PREPAID:
            balance = window.settled_nano_usd
            if balance == balances.get(owner):
                return
            found = spent.get(owner, 0) + max(0, balance - balances.get(owner, balance))
        elif found == spent.get(owner, 0):
            return
        spent[owner] = found
        await self._store.note(day, owner, found, balance)

    async def _judged(self, spent_nano_usd: int) -> Spending:
        for _ in range(_MOST_TRIES):
            service = (await self._health.read()).service
            judged = service.judged(spent_nano_usd, self._default, self._now())
            if judged == service or await self._health.put_service(judged):
                return self._spending(spent_nano_usd, judged)
        raise Conflict("others change the service at this moment")

    def _spending(self, spent_nano_usd: int, service: Service) -> Spending:
        return Spending(spent_nano_usd, service.ceiling(self._default), service.pause_at(self._now()))

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def measure_spending(spending: Spending, meter: Meter) -> None:
    """Tell the metrics of a day's spend."""
    meter.add(metrics.DAY_SPEND, spending.spent_nano_usd)
    meter.add(metrics.PAUSED, int(spending.pause is not None))
    if spending.ceiling_nano_usd:
        meter.add(metrics.DAY_SPEND_PERCENT, percent_of(spending.spent_nano_usd, spending.ceiling_nano_usd))


def _counts(key: WindowKey, day: str) -> bool:
    kind = kind_of(key)
    return kind is Kind.PREPAID or (kind is Kind.ACCOUNT and key.period == day)

"""
Lanes as operators see them: what each promises, and how much of it is in use at this moment. Nothing here writes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from jatevo.application.ports import Clock, Directory, WindowStore
from jatevo.domain.binding import Slot, lane_window, slot_binding, slot_in
from jatevo.domain.calendar import utc_day
from jatevo.domain.catalogue import Catalogue
from jatevo.domain.lanes import SHARED, Lane
from jatevo.domain.windows import Window, opened


@dataclass(frozen=True, slots=True)
class Places:
    """The places that a lane's requests have in a pool whose concurrency is divided."""

    pool: str
    own: bool
    """Guaranteed to this lane; else of the rest, which it shares with all others."""
    size: int
    taken: int


@dataclass(frozen=True, slots=True)
class LaneInUse:
    """One lane. `today`: what is left of its limits as a whole; None: it has none."""

    lane: Lane
    pools: Sequence[str]
    models: Sequence[str]
    places: Sequence[Places]
    today: Window | None


class Lanes:
    """Shows the lanes of the catalogue in force."""

    def __init__(self, directory: Directory, windows: WindowStore, clock: Clock) -> None:
        self._directory = directory
        self._windows = windows
        self._clock = clock

    async def all(self) -> Sequence[LaneInUse]:
        """Return every lane by its id, the shared one last. Raises StoreError."""
        catalogue = await self._directory.catalogue()
        lanes = [lane for _, lane in sorted(catalogue.lanes.items()) if lane.id != SHARED]
        lanes.append(catalogue.lane(SHARED) or Lane(SHARED))
        return await asyncio.gather(*(self._in_use(catalogue, lane) for lane in lanes))

    async def _in_use(self, catalogue: Catalogue, lane: Lane) -> LaneInUse:
        pools = [pool for _, pool in sorted(catalogue.pools.items()) if catalogue.serves(pool, lane)]
        slots = [slot for pool in pools if (slot := slot_in(catalogue, lane, pool)) is not None]
        return LaneInUse(
            lane,
            pools=[pool.id for pool in pools],
            models=[model.id for _, model in sorted(catalogue.models.items()) if catalogue.sells(model, lane)],
            places=await asyncio.gather(*(self._places(lane, slot) for slot in slots)),
            today=await self._today(catalogue, lane),
        )

    async def _places(self, lane: Lane, slot: Slot) -> Places:
        window = await self._windows.read(slot_binding(slot).key)
        taken = 0 if window is None else len(window.open)
        return Places(slot.pool, slot.pool in lane.guaranteed, slot.size, taken)

    async def _today(self, catalogue: Catalogue, lane: Lane) -> Window | None:
        if lane.limits is None:
            return None
        key = lane_window(lane.id, utc_day(self._clock.now_ms() // 1000))
        return await self._windows.read(key) or opened(key, lane.limits, catalogue.version)

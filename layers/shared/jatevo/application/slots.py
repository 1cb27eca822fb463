"""
Slots: places in pools whose concurrency is divided, held and given back like everything else a request holds.

A slot is a window without a period that bounds concurrency only (decision 33). A request holds in the first of its
candidates that is free, before its upstream is called; when it goes on to another pool, it takes a further slot there,
under the same id and expiry. All of them are given back when the request is settled, or by the sweeper.
"""

import logging
from collections.abc import Sequence

from jatevo.application.openings import Openings
from jatevo.application.ports import StoreError, WindowStore
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.application.wanted import Reservation
from jatevo.domain.binding import Slot, hold_in, slot_binding
from jatevo.domain.windows import Hold, Refused, Window, WindowKey

_log = logging.getLogger(__name__)

_MOST_LOOKS = 3


class Slots:
    """Further slots of requests under way, for one gateway process."""

    def __init__(self, windows: WindowStore, openings: Openings, memory: RefusalMemory) -> None:
        self._windows = windows
        self._openings = openings
        self._memory = memory
        self._further: dict[str, list[tuple[WindowKey, Hold]]] = {}

    async def try_hold(self, reservation: Reservation, slot: Slot | None) -> bool:
        """
        Hold a further slot for a request that goes on to another pool. False when none is free, or the store does not
        say so; None, a pool that counts none, is always free, and so is a slot that is held already.
        """
        if slot is None:
            return True
        binding = slot_binding(slot)
        further = self._further.setdefault(reservation.id, [])
        if any(key == binding.key for key, _ in (*reservation.holds, *further)):
            return True
        hold = hold_in(
            binding,
            reservation.wanted.caller.account.id,
            charge=0,
            resale=None,
            expires=reservation.expires_at_unix_s,
            ref=reservation.wanted.caller.key.ref,
            mark=reservation.holds[-1][1].mark,
        )
        for _ in range(_MOST_LOOKS):
            try:
                result = await self._windows.reserve(binding.key, reservation.id, hold)
                if result is None:
                    await self._openings.open_all([binding], reservation.wanted.caller)
                    continue
                window = result.window if isinstance(result, Refused) else result
                behind = await self._openings.caught_up(binding, window, reservation.wanted.caller)
            except StoreError:
                # It may be held all the same: it is given back with the rest.
                further.append((binding.key, hold))
                return False
            if isinstance(result, Window):
                further.append((binding.key, hold))
                return True
            if not behind:
                return False
        return False

    def taken(self, reservation: Reservation) -> Sequence[tuple[WindowKey, Hold]]:
        """Return the further holds of a request that ends now, and forget them."""
        return self._further.pop(reservation.id, [])

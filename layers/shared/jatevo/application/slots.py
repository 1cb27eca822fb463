"""
Slots: places in pools whose concurrency is divided, held and given back like everything else a request holds.

A slot is a window without a period that bounds concurrency only (decision 33). A request holds in the first of its
candidates that is free, before its upstream is called; when it goes on to another pool, it takes a further slot there,
under the same id and expiry. All of them are given back when the request is settled, or by the sweeper.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from jatevo.application.openings import Openings
from jatevo.application.ports import OutcomeUnknown, StoreError, WindowStore
from jatevo.application.wanted import Reservation
from jatevo.domain.binding import Binding, Slot, hold_in, slot_binding
from jatevo.domain.windows import Hold, Window, WindowKey

_log = logging.getLogger(__name__)

_MOST_LOOKS = 3


@dataclass(slots=True)
class _Further:
    """What a request took further. `unclear`: windows that gave no answer, and may hold it all the same."""

    holds: dict[WindowKey, Hold] = field(default_factory=dict)
    unclear: set[WindowKey] = field(default_factory=set)


class Slots:
    """Further slots of requests under way, for one gateway process."""

    def __init__(self, windows: WindowStore, openings: Openings) -> None:
        self._windows = windows
        self._openings = openings
        self._further: dict[str, _Further] = {}

    async def try_hold(self, reservation: Reservation, slot: Slot | None) -> bool:
        """
        Hold a further slot for a request that goes on to another pool. False when none is free, or the store does not
        say so; None, a pool that counts none, is always free, and so is a slot that is held already.
        """
        if slot is None:
            return True
        binding = slot_binding(slot)
        further = self._further.setdefault(reservation.id, _Further())
        if binding.key in further.unclear:
            return False
        if binding.key in further.holds or any(key == binding.key for key, _ in reservation.holds):
            return True
        hold = _hold(binding, reservation)
        try:
            for _ in range(_MOST_LOOKS):
                result = await self._windows.reserve(binding.key, reservation.id, hold)
                if isinstance(result, Window):
                    further.holds[binding.key] = hold
                    return True
                if result is None:
                    await self._openings.open_all([binding], reservation.wanted.caller)
                elif not await self._openings.caught_up(binding, result.window, reservation.wanted.caller):
                    return False
        except OutcomeUnknown:
            # It may be held all the same: it is given back with the rest.
            further.holds[binding.key] = hold
            further.unclear.add(binding.key)
        except StoreError:
            _log.warning("reservation %s: no further slot, the store does not answer", reservation.id)
        return False

    def taken(self, reservation: Reservation) -> Sequence[tuple[WindowKey, Hold]]:
        """Return the further holds of a request that ends now, and forget them."""
        further = self._further.pop(reservation.id, None)
        return () if further is None else tuple(further.holds.items())


def _hold(binding: Binding, reservation: Reservation) -> Hold:
    account = reservation.holds[-1][1]
    return hold_in(
        binding,
        reservation.wanted.caller.account.id,
        charge=0,
        resale=None,
        expires=account.expires_at_unix_s,
        ref=account.key_ref,
        mark=account.mark,
    )

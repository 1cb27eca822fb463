"""
The books of an account as its owner reads them: usage by day, model and key, and the ledger.

Usage is summed from the ledger, so both agree. What an owner is shown is what an owner pays: no cost, margin or
exposure, which are the operator's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jatevo.application.administration import bounds
from jatevo.application.administration.problems import InvalidValue
from jatevo.application.playground import KEY_ID, KEY_NAME
from jatevo.application.ports import Clock, Ledger
from jatevo.application.registry import Page, Registry
from jatevo.application.usage import UsageReports
from jatevo.domain.accounts import Account
from jatevo.domain.calendar import utc_day
from jatevo.domain.ids import is_reservation_id
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.rollups import Tally

DIMENSIONS = ("day", "model", "key")
MAX_DAYS = 90
MAX_SUMS = 5000
MAX_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Sum:
    """What was used of one value of each dimension that was asked for."""

    of: Mapping[str, str]
    tally: Tally


class OwnBooks:
    """Usage and ledger of an account. Raises AdministrationError."""

    def __init__(self, registry: Registry, usage: UsageReports, ledger: Ledger, clock: Clock) -> None:
        self._registry = registry
        self._usage = usage
        self._ledger = ledger
        self._clock = clock

    async def usage(self, account: Account, by: Sequence[str], days: int) -> Sequence[Sum]:
        """
        Return the sums of the last `days` days by some of DIMENSIONS.

        By day alone every day has a sum, the oldest first; else only what was used has one.
        """
        if not by or len(set(by)) != len(by) or not set(by) <= set(DIMENSIONS):
            raise InvalidValue(f"by must name some of {', '.join(DIMENSIONS)}, each once.", param="by")
        found: dict[tuple[str, ...], Tally] = {}
        for used in await self._usage.days(account, days):
            if tuple(by) == ("day",):
                found[used.day,] = Tally()
            for usage, tally in used.tallies.items():
                values = {"day": used.day, "model": usage.model, "key": usage.key_id}
                place = tuple(values[dimension] for dimension in by)
                found[place] = found.get(place, Tally()) + tally
            if len(found) > MAX_SUMS:
                raise InvalidValue("That is too much for one answer: ask for fewer days.", param="days")
        return [Sum(dict(zip(by, place, strict=True)), found[place]) for place in sorted(found)]

    async def entries(
        self, account: Account, day: str | None, cursor: str | None, limit: int, *, newest: bool
    ) -> Page[LedgerEntry]:
        """Return some of a day's ledger entries, from a cursor that an earlier page gave; by default today's."""
        day = utc_day(self._clock.now_ms() // 1000) if day is None else bounds.day(day)
        if cursor is not None and not is_reservation_id(cursor):
            raise InvalidValue("This is no cursor that an earlier answer gave.", param="cursor")
        after, before = (None, cursor) if newest else (cursor, None)
        found = await self._ledger.entries(account.id, day, after=after, before=before, limit=limit + 1, newest=newest)
        more = len(found) > limit
        return Page(found[:limit], found[limit - 1].reservation_id if more else None)

    async def key_names(self, account: Account) -> Mapping[str, str]:
        """Return the names of an account's keys by id; of deleted ones only the id is known."""
        return {KEY_ID: KEY_NAME} | {key.id: key.name for key in await self._registry.keys(account.id)}

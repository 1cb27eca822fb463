"""
The keys of an account, administered by its owner: as operators do it, for this account's keys only.

A key of another account is not there. Models are checked against the catalogue: one that the account cannot buy is a
mistake. Rotating makes a key of the same name and limits with an id and a secret of its own, and stops the old one at
once, or lets it end after an overlap: two secrets of one id could not be stopped one by one. A cap counts for each key,
so that of the new one begins anew that day; the account's limits bind both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jatevo.application.administration.keys import CreatedKey, KeyChange, Keys, NewKey
from jatevo.application.administration.problems import InvalidValue, NotThere, Refused
from jatevo.application.ports import Clock, Directory, Ledger
from jatevo.application.registry import Registry
from jatevo.application.usage import DayUsage, UsageReports
from jatevo.domain.accounts import Account, ApiKey
from jatevo.domain.calendar import day_start_unix_s, utc_day
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.rollups import Tally, summed
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

MAX_STORED_KEYS = 300
"""Disabled ones included, until they are deleted: a list of them stays one answer."""
MAX_OVERLAP_S = 7 * 86_400
REMEMBERED_DAYS = 30
"""How far back it is told when a key was last used."""
_LATEST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """A key, what it used today, and when it was last used: None when not in the last thirty days."""

    key: ApiKey
    today: Tally
    last_used_at_unix_s: int | None
    """To the second when it was among today's latest requests, else the beginning of the day."""


class OwnKeys:
    """Keys by their account's id and their own. Raises AdministrationError as `administration.keys` does."""

    def __init__(
        self,
        keys: Keys,
        registry: Registry,
        directory: Directory,
        usage: UsageReports,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._registry = registry
        self._directory = directory
        self._usage = usage
        self._ledger = ledger
        self._clock = clock

    async def create(self, account: Account, wanted: NewKey) -> CreatedKey:
        """Return a new key."""
        models = None if wanted.models is None else frozenset(wanted.models)
        await self._check(account, models, wanted.lanes)
        await self._check_room(account.id)
        return await self._keys.create(account.id, wanted)

    async def of_account(self, account: Account) -> Sequence[KeyStanding]:
        """Return an account's keys with what they did, the newest first."""
        keys = sorted(
            await self._keys.of_account(account.id), key=lambda key: (key.created_at_unix_s, key.id), reverse=True
        )
        days = await self._usage.days(account, REMEMBERED_DAYS)
        latest = await self._latest(account.id)
        today = days[-1].tallies if days else {}
        return [KeyStanding(key, summed(today, key.id), latest.get(key.id) or _last_day(key.id, days)) for key in keys]

    async def change(self, account: Account, key_id: str, change: KeyChange) -> ApiKey:
        """Return a key as changed."""
        await self._own(account.id, key_id)
        models = change.models if isinstance(change.models, Iterable) else None
        lanes = change.lanes if isinstance(change.lanes, Iterable) else None
        await self._check(account, models, lanes)
        return (await self._keys.change(key_id, change)).after

    async def rotate(self, account: Account, key_id: str, *, overlap_s: int = 0) -> CreatedKey:
        """Return a key that takes another's place; that one stops at once, or ends after `overlap_s`."""
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise InvalidValue(f"overlap_s must be from 0 to {MAX_OVERLAP_S}.", param="overlap_s")
        old = await self._own(account.id, key_id)
        now = self._now()
        if not old.enabled or old.expired(now):
            raise Refused("The key is disabled or has expired. Create a new one.")
        await self._check_room(account.id)
        created = await self._keys.create(account.id, _like(old))
        if overlap_s == 0:
            await self._keys.disable(old.id)
        elif old.expires_at_unix_s is None or old.expires_at_unix_s > now + overlap_s:
            await self._keys.change(old.id, KeyChange(expires_at_unix_s=now + overlap_s))
        return created

    async def disable(self, account: Account, key_id: str) -> ApiKey:
        """Stop a key at once and for good, and return it."""
        await self._own(account.id, key_id)
        return (await self._keys.disable(key_id)).after

    async def delete(self, account: Account, key_id: str) -> None:
        """Stop a key at once and remove it."""
        await self._own(account.id, key_id)
        await self._keys.delete(key_id)

    async def _own(self, account_id: str, key_id: str) -> ApiKey:
        key = await self._registry.key(key_id)
        if key is None or key.account_id != account_id:
            raise NotThere("This account has no such key.", param="key_id")
        return key

    async def _check(self, account: Account, models: Iterable[str] | None, lanes: Iterable[str] | None) -> None:
        """Raise InvalidValue for a model that this account cannot buy, or a lane that it has not."""
        for lane in lanes or ():
            if lane not in account.lanes:
                raise InvalidValue(f"Your account has no lane {lane[:64]!r}.", param="lanes")
        if models is None:
            return
        catalogue = await self._directory.catalogue()
        for model_id in models:
            if not catalogue.offers(model_id, account.lanes):
                raise InvalidValue(f"There is no model {model_id[:64]!r}.", param="models")

    async def _check_room(self, account_id: str) -> None:
        if len(await self._registry.keys(account_id)) >= MAX_STORED_KEYS:
            raise Refused(f"The account has {MAX_STORED_KEYS} keys, disabled ones included: delete some first.")

    async def _latest(self, account_id: str) -> Mapping[str, int]:
        """Return when each key was used last, as far as today's latest entries tell."""
        entries = await self._ledger.entries(account_id, utc_day(self._now()), limit=_LATEST_ENTRIES, newest=True)
        found: dict[str, int] = {}
        for entry in entries:
            found.setdefault(entry.key_id, reserved_at_ms(entry.reservation_id) // 1000)
        return found

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def _last_day(key_id: str, days: Sequence[DayUsage]) -> int | None:
    """Return the beginning of the last day on which a key was used."""
    for used in reversed(days):
        if any(usage.key_id == key_id for usage in used.tallies):
            return day_start_unix_s(used.day)
    return None


def _like(key: ApiKey) -> NewKey:
    """Return what a key like another one is created with."""
    caps = key.caps or Limits()
    return NewKey(
        name=key.name,
        models=key.models,
        lanes=key.lanes,
        ip_ranges=key.ip_ranges,
        requests_per_day=None if caps.requests == UNLIMITED_REQUESTS else caps.requests,
        budget_nano_usd_per_day=None if caps.budget_nano_usd == UNLIMITED_BUDGET_NANO_USD else caps.budget_nano_usd,
        concurrency=None if caps.concurrency == UNLIMITED_REQUESTS else caps.concurrency,
        expires_at_unix_s=key.expires_at_unix_s,
        reseller_margin_bps=key.reseller_margin_bps,
        labels=key.labels,
    )

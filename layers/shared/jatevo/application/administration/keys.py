"""
API keys: create (the key itself is returned once and stored nowhere), change, disable.

Disabling is one transaction with the account, whose next version names the key, so that every window opened later
knows it; then the windows open today learn it. It is final. It may be repeated, which repairs what a crash left.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jatevo.application.administration import bounds
from jatevo.application.administration.accounts import ATTEMPTS
from jatevo.application.administration.changes import KEPT, Changed, Kept, chosen
from jatevo.application.administration.problems import NotThere, Refused
from jatevo.application.limits import LimitChanges
from jatevo.application.ports import Clock, Conflict, Randomness
from jatevo.application.registry import Registry, TooManyKeys
from jatevo.domain import api_keys, ids
from jatevo.domain.accounts import MAX_KEYS_PER_ACCOUNT, REVOCATION_MEMORY_S, Account, ApiKey
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

_ID_BITS = 50
_BUSY = "The key or its account is being changed by others at this moment. Try again."


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is created with. None: no limit of its own, every model, no expiry."""

    name: str = ""
    models: Iterable[str] | None = None
    lanes: Iterable[str] | None = None
    ip_ranges: Iterable[str] | None = None
    requests_per_day: int | None = None
    budget_nano_usd_per_day: int | None = None
    concurrency: int | None = None
    expires_at_unix_s: int | None = None
    reseller_margin_bps: int | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What is to become of a key; a limit of None removes it."""

    name: str | Kept = KEPT
    models: Iterable[str] | Kept | None = KEPT
    lanes: Iterable[str] | Kept | None = KEPT
    ip_ranges: Iterable[str] | Kept | None = KEPT
    requests_per_day: int | Kept | None = KEPT
    budget_nano_usd_per_day: int | Kept | None = KEPT
    concurrency: int | Kept | None = KEPT
    expires_at_unix_s: int | Kept | None = KEPT
    reseller_margin_bps: int | Kept | None = KEPT
    labels: Mapping[str, str] | Kept | None = KEPT


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A new key, and the secret its owner needs: it cannot be had again."""

    key: ApiKey
    secret: str = field(repr=False)


class Keys:
    """Administers API keys. `forget` drops what this process remembers of them."""

    def __init__(
        self,
        registry: Registry,
        limits: LimitChanges,
        clock: Clock,
        randomness: Randomness,
        *,
        forget: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._clock = clock
        self._randomness = randomness
        self._forget = forget

    async def create(self, account_id: str, wanted: NewKey) -> CreatedKey:
        """Return a new key. Raises NotThere, InvalidValue, Refused when the account has too many."""
        now = self._now()
        secret = api_keys.compose(self._randomness.secret(api_keys.SECRET_BYTES))
        key = ApiKey(
            id=ids.key_id(self._randomness.bits(_ID_BITS)),
            digest=api_keys.digest(secret),
            account_id=account_id,
            name=bounds.name(wanted.name, optional=True),
            prefix=api_keys.shown_prefix(secret),
            models=bounds.models(wanted.models),
            lanes=None if wanted.lanes is None else bounds.key_lanes(wanted.lanes),
            ip_ranges=bounds.ip_ranges(wanted.ip_ranges),
            caps=_caps(wanted.requests_per_day, wanted.budget_nano_usd_per_day, wanted.concurrency),
            expires_at_unix_s=bounds.expiry(wanted.expires_at_unix_s, now),
            created_at_unix_s=now,
            reseller_margin_bps=bounds.reseller_margin_bps(wanted.reseller_margin_bps),
            labels=bounds.labels(wanted.labels),
        )
        for _ in range(ATTEMPTS):
            await self._account(account_id)
            try:
                await self._registry.create_key(key)
            except Conflict:
                continue
            except TooManyKeys as error:
                raise Refused(
                    f"The account has {MAX_KEYS_PER_ACCOUNT} keys that are not disabled: disable one first.",
                    param="account_id",
                ) from error
            return CreatedKey(key, secret)
        raise Refused(_BUSY)

    async def of_account(self, account_id: str) -> Sequence[ApiKey]:
        """Return an account's keys, disabled ones included. Raises NotThere."""
        await self._account(account_id)
        return await self._registry.keys(account_id)

    async def get(self, key_id: str) -> ApiKey:
        """Return a key. Raises NotThere."""
        return await self._get(key_id)

    async def change(self, key_id: str, change: KeyChange) -> Changed[ApiKey]:
        """Return the key as it was and is. Raises NotThere, InvalidValue, Refused for a disabled key."""
        for _ in range(ATTEMPTS):
            stored = await self._get(key_id)
            if not stored.enabled:
                raise Refused("The key is disabled, and stays so. Create a new one.", param="key_id")
            key = _changed(stored, change, self._now())
            if key != stored:
                key = replace(key, caps_version=stored.caps_version + 1)
                try:
                    await self._registry.change_key(key)
                except Conflict:
                    continue
            self._forget()
            await self._limits.key_caps_changed(key)
            return Changed(stored, key)
        raise Refused(_BUSY)

    async def disable(self, key_id: str) -> Changed[ApiKey]:
        """Stop a key for good and return it as it was and is. Raises NotThere."""
        for _ in range(ATTEMPTS):
            key = stored = await self._get(key_id)
            account, forgotten = await self._account(key.account_id), frozenset[str]()
            if key.enabled:
                now = self._now()
                before = account.revoked.keys()
                key = replace(key, enabled=False, disabled_at_unix_s=now)
                account = _revoking(account, key, now)
                forgotten = frozenset(before - account.revoked.keys())
                try:
                    await self._registry.disable_key(key, account)
                except Conflict:
                    continue
            self._forget()
            await self._limits.key_disabled(account, key.ref, forgotten=forgotten)
            await self._limits.account_changed(account)
            return Changed(stored, key)
        raise Refused(_BUSY)

    async def delete(self, key_id: str) -> None:
        """Stop a key for good, and remove it. What it used stays in the ledger, under its id. Raises NotThere."""
        key = (await self.disable(key_id)).after
        try:
            await self._registry.delete_key(key)
        except Conflict:
            return  # somebody else was faster

    async def _get(self, key_id: str) -> ApiKey:
        key = await self._registry.key(key_id)
        if key is None:
            raise NotThere(f"There is no key {key_id[:64]!r}.", param="key_id")
        return key

    async def _account(self, account_id: str) -> Account:
        account = await self._registry.account(account_id)
        if account is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")
        return account

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def _revoking(account: Account, key: ApiKey, now: int) -> Account:
    """Return the account's next version, which names `key` among the keys disabled lately."""
    recent = {ref: at for ref, at in account.revoked.items() if now - at < REVOCATION_MEMORY_S}
    return replace(account, version=account.version + 1, revoked={**recent, key.ref: now})


def _changed(key: ApiKey, change: KeyChange, now: int) -> ApiKey:
    caps = key.caps or Limits()
    expires = change.expires_at_unix_s
    return replace(
        key,
        name=key.name if isinstance(change.name, Kept) else bounds.name(change.name, optional=True),
        models=key.models if isinstance(change.models, Kept) else bounds.models(change.models),
        lanes=_lanes(key.lanes, change.lanes),
        ip_ranges=key.ip_ranges if isinstance(change.ip_ranges, Kept) else bounds.ip_ranges(change.ip_ranges),
        caps=_caps(
            chosen(change.requests_per_day, _limit(caps.requests, UNLIMITED_REQUESTS)),
            chosen(change.budget_nano_usd_per_day, _limit(caps.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD)),
            chosen(change.concurrency, _limit(caps.concurrency, UNLIMITED_REQUESTS)),
        ),
        expires_at_unix_s=key.expires_at_unix_s if isinstance(expires, Kept) else bounds.expiry(expires, now),
        reseller_margin_bps=bounds.reseller_margin_bps(chosen(change.reseller_margin_bps, key.reseller_margin_bps)),
        labels=key.labels if isinstance(change.labels, Kept) else bounds.labels(change.labels),
    )


def _lanes(old: frozenset[str] | None, new: Iterable[str] | Kept | None) -> frozenset[str] | None:
    if isinstance(new, Kept):
        return old
    return None if new is None else bounds.key_lanes(new)


def _limit(value: int, unlimited: int) -> int | None:
    return None if value == unlimited else value


def _caps(requests: int | None, budget_nano_usd: int | None, concurrency: int | None) -> Limits | None:
    """Return a key's own limits; None when it has none at all. Raises InvalidValue."""
    bounds.requests_per_day(requests)
    bounds.budget_nano_usd_per_day(budget_nano_usd)
    bounds.concurrency(concurrency)
    if requests is None and budget_nano_usd is None and concurrency is None:
        return None
    return Limits(
        requests=UNLIMITED_REQUESTS if requests is None else requests,
        budget_nano_usd=UNLIMITED_BUDGET_NANO_USD if budget_nano_usd is None else budget_nano_usd,
        concurrency=UNLIMITED_REQUESTS if concurrency is None else concurrency,
    )

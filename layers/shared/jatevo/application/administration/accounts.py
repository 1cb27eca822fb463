"""
Accounts: create, change, look up.

A change is stored first, as the account's next version, and then carried into the windows open today. Both steps may
be repeated: asking for what is already so repairs windows that a crash left behind.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from jatevo.application.administration import bounds
from jatevo.application.administration.changes import KEPT, Changed, Kept, chosen
from jatevo.application.administration.problems import InvalidValue, NotThere, Refused
from jatevo.application.limits import LimitChanges
from jatevo.application.ports import Clock, Conflict, Randomness
from jatevo.application.registry import Page, Registry
from jatevo.domain import ids
from jatevo.domain.accounts import DEFAULT_CONCURRENCY, Account, LimitsFrom
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

ATTEMPTS = 10
_ID_BITS = 60


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is created with. `margin_bps` None: the gateway's default margin."""

    name: str
    requests_per_day: int
    budget_nano_usd_per_day: int
    concurrency: int = DEFAULT_CONCURRENCY
    margin_bps: int | None = None
    lanes: Iterable[str] = ()
    zdr: bool = False
    requests_per_minute: int | None = None
    requests_per_month: int | None = None
    budget_nano_usd_per_month: int | None = None
    reseller_margin_bps: int | None = None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """
    What is to become of an account. Limits set here are the operator's: holdings move them no more.

    `limits_from`: handing the account back to its holdings, which then owe it limits of today, or keeping the limits
    that it has.
    """

    name: str | Kept = KEPT
    requests_per_day: int | Kept = KEPT
    budget_nano_usd_per_day: int | Kept = KEPT
    concurrency: int | Kept = KEPT
    margin_bps: int | Kept | None = KEPT
    enabled: bool | Kept = KEPT
    lanes: Iterable[str] | Kept = KEPT
    zdr: bool | Kept = KEPT
    requests_per_minute: int | Kept | None = KEPT
    requests_per_month: int | Kept | None = KEPT
    budget_nano_usd_per_month: int | Kept | None = KEPT
    reseller_margin_bps: int | Kept | None = KEPT
    limits_from: LimitsFrom | Kept = KEPT


class Accounts:
    """Administers accounts. `forget` drops what this process remembers of them."""

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

    async def create(self, wanted: NewAccount) -> Account:
        """Return a new account. Raises InvalidValue."""
        account = _checked(
            Account(
                id=ids.account_id(self._randomness.bits(_ID_BITS)),
                name=wanted.name,
                limits=Limits(wanted.requests_per_day, wanted.budget_nano_usd_per_day, wanted.concurrency),
                margin_bps=wanted.margin_bps,
                lanes=bounds.lanes(wanted.lanes),
                zdr=wanted.zdr,
                monthly=_monthly(wanted.requests_per_month, wanted.budget_nano_usd_per_month),
                requests_per_minute=wanted.requests_per_minute,
                reseller_margin_bps=wanted.reseller_margin_bps,
                created_at_unix_s=self._clock.now_ms() // 1000,
            )
        )
        await self._registry.create_account(account)
        return account

    async def get(self, account_id: str) -> Account:
        """Return an account. Raises NotThere."""
        account = await self._registry.account(account_id)
        if account is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")
        return account

    async def page(self, *, after: str | None = None, limit: int = 100) -> Page[Account]:
        """Return accounts in no particular order."""
        return await self._registry.accounts(after=after, limit=limit)

    async def change(self, account_id: str, change: AccountChange) -> Changed[Account]:
        """Return the account as it was and is. Raises NotThere, InvalidValue, Refused when others keep changing it."""
        for _ in range(ATTEMPTS):
            stored = await self.get(account_id)
            account = _checked(_changed(stored, change))
            if account != stored:
                account = replace(account, version=stored.version + 1)
                try:
                    await self._registry.change_account(account)
                except Conflict:
                    continue
            self._forget()
            await self._limits.account_changed(account)
            return Changed(stored, account)
        raise Refused("The account is being changed by others at this moment. Try again.")


def _changed(account: Account, change: AccountChange) -> Account:
    limits, monthly = account.limits, account.monthly or Limits()
    limits_from = _limits_from(account, change)
    return replace(
        account,
        name=chosen(change.name, account.name),
        limits=Limits(
            requests=chosen(change.requests_per_day, limits.requests),
            budget_nano_usd=chosen(change.budget_nano_usd_per_day, limits.budget_nano_usd),
            concurrency=chosen(change.concurrency, limits.concurrency),
        ),
        margin_bps=chosen(change.margin_bps, account.margin_bps),
        enabled=chosen(change.enabled, account.enabled),
        lanes=account.lanes if isinstance(change.lanes, Kept) else bounds.lanes(change.lanes),
        zdr=chosen(change.zdr, account.zdr),
        monthly=_monthly(
            chosen(change.requests_per_month, unless(monthly.requests, UNLIMITED_REQUESTS)),
            chosen(change.budget_nano_usd_per_month, unless(monthly.budget_nano_usd, UNLIMITED_BUDGET_NANO_USD)),
        ),
        requests_per_minute=chosen(change.requests_per_minute, account.requests_per_minute),
        reseller_margin_bps=chosen(change.reseller_margin_bps, account.reseller_margin_bps),
        limits_from=limits_from,
        entitled_day=account.entitled_day if limits_from is LimitsFrom.HOLDINGS else None,
    )


def _limits_from(account: Account, change: AccountChange) -> LimitsFrom:
    """Return who is to set an account's limits. Raises InvalidValue."""
    sets_limits = change.requests_per_day is not KEPT or change.budget_nano_usd_per_day is not KEPT
    wanted = chosen(change.limits_from, LimitsFrom.OPERATOR if sets_limits else account.limits_from)
    if sets_limits and wanted is LimitsFrom.HOLDINGS:
        raise InvalidValue("Limits of a day are either set here or follow from holdings.", param="limits_from")
    return wanted


def unless(value: int, unlimited: int) -> int | None:
    """Return a limit, None where there is none."""
    return None if value == unlimited else value


def _monthly(requests: int | None, budget_nano_usd: int | None) -> Limits | None:
    """Return the limits of a month; None without any. Raises InvalidValue."""
    bounds.requests_per_month(requests)
    bounds.budget_nano_usd_per_month(budget_nano_usd)
    if requests is None and budget_nano_usd is None:
        return None
    return Limits(
        UNLIMITED_REQUESTS if requests is None else requests,
        UNLIMITED_BUDGET_NANO_USD if budget_nano_usd is None else budget_nano_usd,
    )


def _checked(account: Account) -> Account:
    """Return an account whose values are within bounds. Raises InvalidValue."""
    bounds.requests_per_day(account.limits.requests)
    bounds.budget_nano_usd_per_day(account.limits.budget_nano_usd)
    bounds.concurrency(account.limits.concurrency)
    bounds.margin_bps(account.margin_bps)
    bounds.requests_per_minute(account.requests_per_minute)
    bounds.reseller_margin_bps(account.reseller_margin_bps)
    return replace(account, name=bounds.name(account.name))

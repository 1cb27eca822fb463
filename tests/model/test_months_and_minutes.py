"""Limits of a month and a minute at their edges, and while they are changed with windows open."""

from dataclasses import replace

from jatevo_testing.stage import AMOUNT, Place
from jatevo_testing.tables import put_account

from jatevo.application.administration.accounts import AccountChange
from jatevo.application.administration.changes import KEPT, Kept
from jatevo.application.reservations import Reservation
from jatevo.domain.accounts import Caller
from jatevo.domain.binding import minute_window, month_window
from jatevo.domain.calendar import period_end_unix_s, utc_minute, utc_month
from jatevo.domain.ledger import Reason, Timings
from jatevo.domain.refusals import Code, Refusal, Span
from jatevo.domain.settlement import counted_free, released
from jatevo.domain.windows import Limits, Window, WindowKey, unbalanced_nano_usd


def quotas(
    month: int | Kept | None = KEPT, dollars: int | Kept | None = KEPT, minute: int | Kept | None = KEPT
) -> AccountChange:
    return AccountChange(requests_per_month=month, budget_nano_usd_per_month=dollars, requests_per_minute=minute)


class Tenant:
    """The customer of a place, as it is read anew after each change of its account."""

    def __init__(self, place: Place, *, month: Limits | None, minute: int | None) -> None:
        account = replace(place.caller.account, monthly=month, requests_per_minute=minute)
        put_account(place.engine.calls, place.engine.names, account)
        self.place = place
        self.caller = replace(place.caller, account=account)

    async def change(self, change: AccountChange) -> Caller:
        """Change the account, and return the caller as processes knew it before."""
        before = self.caller
        changed = await self.place.process.accounts.change(before.account.id, change)
        self.caller = replace(before, account=changed.after)
        return before

    async def refused(self, caller: Caller | None = None) -> tuple[Code, Span]:
        refusal = await self.place.asked(caller or self.caller)
        assert isinstance(refusal, Refusal)
        assert refusal.quota is not None
        return refusal.code, refusal.quota.span

    def keys(self) -> tuple[WindowKey, WindowKey]:
        now, account_id = self.place.clock.now_ms() // 1000, self.caller.account.id
        return month_window(account_id, utc_month(now)), minute_window(account_id, utc_minute(now))

    async def windows(self) -> tuple[Window, Window]:
        month, minute = [await self.place.window(key) for key in self.keys()]
        for window in (month, minute):
            assert unbalanced_nano_usd(window) == 0
        return month, minute

    async def settle(self, reservation: Reservation, *, counted: bool) -> None:
        verdict = counted_free(Reason.CLIENT_ERROR) if counted else released(Reason.UPSTREAM_REFUSED)
        await self.place.process.reservations.settle(reservation, verdict, Timings())


async def test_lowered_limits_bind_at_once_also_those_who_do_not_know(place: Place) -> None:
    tenant = Tenant(place, month=Limits(9, 9 * AMOUNT), minute=9)
    await place.reserved(tenant.caller)
    unaware = await tenant.change(quotas(month=1))
    for caller in (unaware, tenant.caller):
        assert await tenant.refused(caller) == (Code.REQUEST_QUOTA_EXHAUSTED, Span.MONTH)
    unaware = await tenant.change(quotas(month=None, dollars=AMOUNT))
    for caller in (unaware, tenant.caller):
        assert await tenant.refused(caller) == (Code.BUDGET_IN_FLIGHT, Span.MONTH)
    unaware = await tenant.change(quotas(dollars=9 * AMOUNT, minute=1))
    for caller in (unaware, tenant.caller):
        assert await tenant.refused(caller) == (Code.RATE_LIMITED, Span.MINUTE)
    month, minute = await tenant.windows()
    assert (len(month.open), len(minute.open)) == (1, 1)


async def test_raised_limits_count_what_was_used_before(place: Place) -> None:
    tenant = Tenant(place, month=Limits(1, 9 * AMOUNT), minute=1)
    first = await place.reserved(tenant.caller)
    assert await tenant.refused() == (Code.RATE_LIMITED, Span.MINUTE)
    await tenant.change(quotas(month=2, minute=2))
    second = await place.reserved(tenant.caller)
    await tenant.change(quotas(minute=9))
    assert await tenant.refused() == (Code.REQUEST_QUOTA_EXHAUSTED, Span.MONTH)
    await tenant.settle(first, counted=True)
    await tenant.settle(second, counted=False)
    month, minute = await tenant.windows()
    assert (month.requests_left, minute.requests_left) == (1, 8)
    await place.reserved(tenant.caller)


async def test_a_limit_that_was_taken_away_and_comes_back_counts_what_it_saw(place: Place) -> None:
    tenant = Tenant(place, month=Limits(5, 9 * AMOUNT), minute=None)
    await place.reserved(tenant.caller)
    await tenant.change(quotas(month=None, dollars=None))
    for _ in range(3):
        await place.reserved(tenant.caller)
    await tenant.change(quotas(month=2))
    await place.reserved(tenant.caller)
    assert await tenant.refused() == (Code.REQUEST_QUOTA_EXHAUSTED, Span.MONTH)


async def test_what_is_under_way_at_a_months_end_is_settled_in_its_own_month(place: Place) -> None:
    tenant = Tenant(place, month=Limits(1, AMOUNT), minute=1)
    end = period_end_unix_s(utc_month(place.clock.now_ms() // 1000))
    assert end is not None
    place.clock.at_ms = end * 1000 - 1
    old_keys, late = tenant.keys(), await place.reserved(tenant.caller)
    assert await tenant.refused() == (Code.RATE_LIMITED, Span.MINUTE)
    place.clock.at_ms = end * 1000
    new = await place.reserved(tenant.caller)
    assert {key for key, _ in late.holds} & {key for key, _ in new.holds} == set()

    await tenant.change(quotas(month=3, dollars=3 * AMOUNT, minute=3))  # a clock that is behind counts in the old month
    await tenant.settle(late, counted=True)
    for old, now in zip(old_keys, tenant.keys(), strict=True):
        assert old != now
        before, after = await place.window(old), await place.window(now)
        assert (len(before.open), len(after.open)) == (0, 1)
        assert (before.requests_left, after.requests_left) == (2, 2)
        assert (unbalanced_nano_usd(before), unbalanced_nano_usd(after)) == (0, 0)

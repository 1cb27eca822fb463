"""
Why an account's budget is what it is: the limits in force, what is left of them, and all that they follow from.
"""

from dataclasses import dataclass

from jatevo.application.counters import Counters
from jatevo.application.entitlements import Entitlement, Entitlements
from jatevo.application.ports import Clock
from jatevo.domain.accounts import Account, LimitsFrom
from jatevo.domain.calendar import next_reset_unix_s, utc_day
from jatevo.domain.entitlement import EntitlementPolicy
from jatevo.domain.windows import Window


@dataclass(frozen=True, slots=True)
class Budget:
    """
    The budget of an account today. `entitlement` None: an operator sets its limits.

    The entitlement is as of now; the limits in force are those of the last renewal, a quarter of an hour ago at most.
    """

    account: Account
    window: Window
    entitlement: Entitlement | None
    policy: EntitlementPolicy
    resets_at_unix_s: int
    balance: Window | None = None
    """What was paid in before, spent after the day's budget; None: nothing ever was."""


class Budgets:
    """Explains budgets."""

    def __init__(self, entitlements: Entitlements, counters: Counters, clock: Clock) -> None:
        self._entitlements = entitlements
        self._counters = counters
        self._clock = clock

    async def today(self, account: Account) -> Budget:
        """Return an account's budget, giving it today's limits first when it has none yet. Raises StoreError."""
        now = self._clock.now_ms() // 1000
        day = utc_day(now)
        account = await self._entitlements.renew(account.id, day) or account
        entitlement = None
        if account.limits_from is LimitsFrom.HOLDINGS:
            entitlement = await self._entitlements.of(account.id, day)
        window = await self._counters.of_account(account)
        balance = await self._counters.of_balance(account)
        return Budget(account, window, entitlement, self._entitlements.policy, next_reset_unix_s(now), balance)

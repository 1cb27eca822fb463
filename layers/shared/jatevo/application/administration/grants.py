"""
Grants: money that operators put into an account's balance, which is spent after its budgets (decision 32).

Each grant has an id that its operator names, such as an invoice's: asked for again, it is answered as the first time
and grants nothing more. A correction takes back; never more than is left and not held by requests under way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from jatevo.application.administration import bounds
from jatevo.application.administration.accounts import ATTEMPTS
from jatevo.application.administration.problems import InvalidValue, NotThere, Refused
from jatevo.application.ports import Clock, Randomness, StoreUnavailable, WindowStore
from jatevo.application.registry import Registry
from jatevo.domain.binding import prepaid_window
from jatevo.domain.grants import Grant
from jatevo.domain.money import MAX_NANO_USD, format_usd
from jatevo.domain.windows import Limits, Window, opened

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_ORDER_BITS = 64


class NotEnough(Exception):
    """A correction would take what is not there, or a grant more than a balance may have."""


class GrantStore(Protocol):
    """Grants and the balances they make up. Raises StoreError."""

    async def add(self, grant: Grant) -> Grant:
        """
        Store a grant and move its account's balance, both or neither; return what stands under its id.

        Raises NotEnough, and Conflict when there is no such account.
        """
        ...

    async def grants(self, account_id: str) -> Sequence[Grant]:
        """Return all grants of an account, the latest first."""
        ...


@dataclass(frozen=True, slots=True)
class NewGrant:
    """
    What is granted. `correction`: the amount is taken back. `not_after_unix_s`: an order that is carried out later than
    this is refused, so that an old one found again does nothing.
    """

    id: str
    amount_nano_usd: int
    reason: str
    correction: bool = False
    not_after_unix_s: int | None = None


class Grants:
    """Grants to accounts, for operators."""

    def __init__(
        self, store: GrantStore, registry: Registry, windows: WindowStore, clock: Clock, randomness: Randomness
    ) -> None:
        self._store = store
        self._registry = registry
        self._windows = windows
        self._clock = clock
        self._randomness = randomness

    async def grant(self, account_id: str, wanted: NewGrant, operator: str) -> tuple[Grant, bool]:
        """
        Return the grant, and whether it was made just now and not before.

        Raises NotThere, InvalidValue, and Refused for an id that stands for another grant, or for what is not there.
        """
        now = self._clock.now_ms() // 1000
        order = f"{self._randomness.bits(_ORDER_BITS):x}"
        grant = replace(_checked(account_id, wanted, operator, now), order=order)
        await self._known(account_id)
        for _ in range(ATTEMPTS):
            try:
                stored = await self._store.add(grant)
            except StoreUnavailable:
                continue
            except NotEnough as error:
                raise Refused(await self._too_much(grant), param="amount_usd") from error
            if not stored.same_as(grant):
                detail = f"The grant {grant.id!r} is there already, of {format_usd(stored.amount_nano_usd)} USD."
                raise Refused(detail, param="grant_id")
            return stored, stored.order == order
        raise Refused("The balance is being changed by others at this moment. Try again.")

    async def of_account(self, account_id: str) -> tuple[Window, Sequence[Grant]]:
        """Return an account's balance and its grants, the latest first. Raises NotThere."""
        await self._known(account_id)
        return await self._balance(account_id), await self._store.grants(account_id)

    async def _balance(self, account_id: str) -> Window:
        key = prepaid_window(account_id)
        return await self._windows.read(key) or opened(key, Limits(budget_nano_usd=0), 0)

    async def _known(self, account_id: str) -> None:
        if await self._registry.account(account_id) is None:
            raise NotThere(f"There is no account {account_id[:64]!r}.", param="account_id")

    async def _too_much(self, grant: Grant) -> str:
        balance = await self._balance(grant.account_id)
        if grant.amount_nano_usd > 0:
            return f"A balance is never more than {format_usd(MAX_NANO_USD)} USD."
        left, held = format_usd(balance.budget_left_nano_usd), format_usd(balance.held_nano_usd)
        return f"Only {left} USD are left and not held ({held} are): no more can be taken back."


def _checked(account_id: str, wanted: NewGrant, operator: str, now_unix_s: int) -> Grant:
    """Return the grant that is wanted. Raises InvalidValue."""
    if _ID.fullmatch(wanted.id) is None:
        raise InvalidValue("A grant's id has 1 to 64 letters, digits or . _ : -", param="grant_id")
    if not 0 < wanted.amount_nano_usd <= MAX_NANO_USD:
        raise InvalidValue("The amount must be above 0; a correction takes it back.", param="amount_usd")
    reason = bounds.reason(wanted.reason)
    if wanted.not_after_unix_s is not None and now_unix_s > wanted.not_after_unix_s:
        raise InvalidValue("This order has expired: it was not to be carried out any more.", param="not_after_unix_s")
    amount = -wanted.amount_nano_usd if wanted.correction else wanted.amount_nano_usd
    return Grant(wanted.id, account_id, amount, reason, operator, now_unix_s)

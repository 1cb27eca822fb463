"""Operators at work: limits, caps, keys, balances, prices and pools are changed while everything is under way."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from jatevo.application.administration.accounts import AccountChange
from jatevo.application.administration.grants import NewGrant
from jatevo.application.administration.keys import KeyChange, NewKey
from jatevo.application.administration.problems import AdministrationError
from jatevo.application.ports import StoreError
from jatevo.domain.accounts import ApiKey, LimitsFrom
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.crowd import BUDGETS, PLACES, QUOTAS, Customer
from jatevo_testing.simulation.gateway.everyone import Everyone
from jatevo_testing.simulation.gateway.goods import HIDDEN, document
from jatevo_testing.simulation.gateway.lambdas import Lambda

type Work = Callable[[], Coroutine[Any, Any, None]]


class Operators:
    """Makes changes. `places`: the catalogue divides a pool's places."""

    def __init__(self, chance: Chance, everyone: Everyone, auditor: Auditor, *, places: bool) -> None:
        self._chance = chance
        self._everyone = everyone
        self._auditor = auditor
        self._places = places
        self._granted = 0

    def change(self, process: Lambda, customer: Customer) -> tuple[str, Coroutine[Any, Any, None]]:
        """Return one change, by name."""
        key = self._chance.choice(customer.keys)
        # What an operator sets, holdings move no more.
        theirs = customer.account.limits_from is LimitsFrom.OPERATOR
        # The first key of an account never expires.
        later = 2.0 if len(customer.keys) > 1 else 0.0
        name, work = self._chance.weighed(
            [
                (("limits", lambda: self._limits(process, customer)), 3 * theirs),
                (("stop and start", lambda: self._stop_and_start(process, customer)), 1),
                (("start", lambda: self._account(process, customer, AccountChange(enabled=True))), 1),
                (("caps", lambda: self._caps(process, key)), 2),
                (("no caps", lambda: self._key(process, key, _NO_CAPS)), 1),
                (("disable a key", lambda: self._disable(process, customer.keys[-1])), 0.3),
                (("a new key", lambda: self._create(process, customer)), 2),
                (("expiry", lambda: self._expire(process, customer.keys[-1])), later),
                (("grant", lambda: self._grant(process, customer)), 1),
                (("prices", lambda: self._prices(process)), 1),
                (("drain a pool", lambda: self._drain(process)), 0.5),
            ]
        )
        return name, self._carried_out(name, customer, work)

    async def _carried_out(self, name: str, customer: Customer, work: Work) -> None:
        registered = self._everyone.accounts[customer.account.id]
        registered.under_way += 1
        done = False
        try:
            await work()
            done = True
            self._auditor.reached[f"changed: {name}"] += 1
        except (StoreError, AdministrationError):
            self._auditor.reached["change not confirmed"] += 1
        finally:
            registered.under_way -= 1
            registered.unfinished |= not done

    async def _limits(self, process: Lambda, customer: Customer) -> None:
        pick = self._chance.choice
        change = AccountChange(
            requests_per_day=pick((0, *QUOTAS)), budget_nano_usd_per_day=pick((0, *BUDGETS)), concurrency=pick(PLACES)
        )
        await self._account(process, customer, change)

    async def _account(self, process: Lambda, customer: Customer, change: AccountChange) -> None:
        account = (await process.administration.accounts.change(customer.account.id, change)).after
        self._everyone.accounts[account.id].promised(account.id, account.version)

    async def _stop_and_start(self, process: Lambda, customer: Customer) -> None:
        await self._account(process, customer, AccountChange(enabled=False))
        await asyncio.sleep(self._chance.choice((0, 1, 15)))
        await self._account(process, customer, AccountChange(enabled=True))

    async def _caps(self, process: Lambda, key: ApiKey) -> None:
        pick = self._chance.choice
        caps = KeyChange(
            requests_per_day=pick((1, 4, 20, None)), budget_nano_usd_per_day=pick((*BUDGETS, None)), concurrency=None
        )
        await self._key(process, key, caps)

    async def _key(self, process: Lambda, key: ApiKey, change: KeyChange) -> None:
        changed = (await process.administration.keys.change(key.id, change)).after
        registered = self._everyone.accounts[key.account_id]
        registered.promised(f"{key.account_id}/{key.id}", changed.caps_version)

    async def _disable(self, process: Lambda, key: ApiKey) -> None:
        await process.administration.keys.disable(key.id)
        self._everyone.accounts[key.account_id].promised_disabled(key.ref)

    async def _create(self, process: Lambda, customer: Customer) -> None:
        wanted = NewKey(expires_at_unix_s=self._end(process), requests_per_day=self._chance.choice((None, 15)))
        created = await process.administration.keys.create(customer.account.id, wanted)
        if len(customer.keys) < _MOST_KEYS:
            customer.keys.append(created.key)
            customer.secrets.append(created.secret)

    async def _expire(self, process: Lambda, key: ApiKey) -> None:
        await self._key(process, key, KeyChange(expires_at_unix_s=self._end(process)))

    def _end(self, process: Lambda) -> int | None:
        """Return when a key is to expire: soon, later, or not at all."""
        after_s = self._chance.choice((5, 60, 600, 86_400, None))
        return None if after_s is None else process.gateway.clock.now_ms() // 1000 + after_s

    async def _grant(self, process: Lambda, customer: Customer) -> None:
        self._granted += 1
        amount = self._chance.choice((300, 4000))
        wanted = NewGrant(f"g{self._granted}", amount, "test", correction=self._chance.happens(0.2))
        await process.administration.grants.grant(customer.account.id, wanted, "operator")

    async def _prices(self, process: Lambda) -> None:
        await process.administration.catalogues.apply(document(self._chance, places=self._places), "operator")

    async def _drain(self, process: Lambda) -> None:
        routes, pool = process.administration.routes, f"{HIDDEN}-{self._chance.choice(('a', 'b'))}"
        await routes.drain(pool, "operator")
        await asyncio.sleep(self._chance.choice((1, 20)))
        await routes.undrain(pool)


_MOST_KEYS = 6
_NO_CAPS = KeyChange(requests_per_day=None, budget_nano_usd_per_day=None, concurrency=None)

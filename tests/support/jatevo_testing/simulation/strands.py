"""The strands of work a simulation is made of: requests, operators' changes, sweeps, and who is served."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from jatevo.application.administration.accounts import AccountChange
from jatevo.application.administration.grants import NewGrant
from jatevo.application.administration.keys import KeyChange
from jatevo.application.administration.problems import AdministrationError
from jatevo.application.journal import Journal
from jatevo.application.ports import StoreError
from jatevo.application.reservations import Reservation, Wanted
from jatevo.domain import api_keys, ids, settlement
from jatevo.domain.accounts import Account, ApiKey, Caller, Visitor
from jatevo.domain.binding import Slot
from jatevo.domain.calendar import DAY_S, utc_day
from jatevo.domain.catalogue import InputEstimate, Model
from jatevo.domain.ledger import Reason, Timings
from jatevo.domain.pricing import Price, Rates
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.refusals import Refusal
from jatevo.domain.settlement import Verdict
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import Limits
from jatevo_testing.simulation.auditor import Auditor
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.judge import Judge
from jatevo_testing.simulation.processes import KEEP_MS, Engine, Process
from jatevo_testing.simulation.registered import Registered
from jatevo_testing.simulation.wire import CURRENT
from jatevo_testing.tables import put_account, put_key

RATE = 10**6
"""A token costs a nano-dollar: small numbers are easy to read."""
MODEL = Model(
    id="m",
    context_window=200,
    max_output_tokens=100,
    default_output_tokens=50,
    price=Price(Rates(input=RATE, output=RATE, cache_read=RATE, cache_creation=RATE, reasoning=RATE)),
    routes=(),
    estimate=InputEstimate(per_request=4, per_message=1),
)
_MOST_DAYS = 4
"""A simulation ends before."""
_LONGEST_MS = 59_000
"""Less than what the simulation's policy gives an upstream, in whole seconds."""
_BUDGETS = (60, 150, 400, 1000)


@dataclass(frozen=True)
class Customer:
    """An account with three keys: a plain one, a capped one, and one that comes and goes."""

    account: Account
    keys: tuple[ApiKey, ...]
    secrets: tuple[str, ...]
    visitor: Visitor | None = None
    slots: tuple[Slot | None, ...] = ()
    """Places in two pools, the first a small one."""


def people(engine: Engine, chance: Chance, seed: int) -> Customer:
    """Register the customer of a seed."""
    limits = Limits(chance.choice([2, 5, 12, 40]), chance.choice(_BUDGETS), chance.choice([1, 2, 4, 64]))
    margin = chance.choice([None, 0, 250])
    account = Account(f"acct_{seed}x{chance.bits(40):x}", "test", limits, margin_bps=margin)
    visitor: Visitor | None = None
    slots: tuple[Slot | None, ...] = ()
    if chance.happens(0.6):
        account, visitor, slots = _with_more_windows(account, chance)
    put_account(engine.calls, engine.names, account)
    secrets = tuple(api_keys.compose(chance.data(api_keys.SECRET_BYTES)) for _ in range(3))
    caps = (None, Limits(chance.choice([1, 3, 8]), chance.choice(_BUDGETS), chance.choice([1, 2, 64])), None)
    keys = tuple(
        ApiKey(
            id=ids.key_id(chance.bits(50)),
            digest=api_keys.digest(secret),
            account_id=account.id,
            name="test",
            prefix=api_keys.shown_prefix(secret),
            caps=cap,
        )
        for secret, cap in zip(secrets, caps, strict=True)
    )
    for key in keys:
        put_key(engine.calls, engine.names, key)
    return Customer(account, keys, secrets, visitor, slots)


def _with_more_windows(account: Account, chance: Chance) -> tuple[Account, Visitor | None, tuple[Slot | None, ...]]:
    """Bind an account by what else there is: a month, a minute, a balance, a reseller's margin, a visitor, slots."""
    monthly = Limits(chance.choice([3, 20, 10**12]), chance.choice([100, 500, 10**18]))
    account = replace(
        account,
        monthly=chance.choice([None, monthly]),
        requests_per_minute=chance.choice([None, None, 2, 6]),
        reseller_margin_bps=chance.choice([None, None, 0, 333, 5000]),
    )
    visitor = Visitor("198.51.100.7", "salt", Limits(chance.choice([2, 9]), chance.choice([80, 600])))
    pools: list[Slot | None] = [Slot(account.id[5:], name, chance.choice([1, 2, 5]), 1) for name in ("small", "other")]
    slots = chance.choice([(), (), tuple(pools[:1]), tuple(pools), (pools[0], None)])
    return account, chance.choice([None, visitor]), slots


class Strands:
    """Makes strands of work, each with its own random choices."""

    def __init__(
        self,
        customer: Customer,
        auditor: Auditor,
        registered: Registered,
        chance: Chance,
        *,
        faults_are_made: bool,
    ) -> None:
        self._customer = customer
        self._auditor = auditor
        self._registered = registered
        self._chance = chance
        self._faults_are_made = faults_are_made
        self._favoured = [1, 1, 1]
        """Keys that the next requests come with: those of the latest change, for they are to race."""
        self._judge = Judge(auditor, registered)
        self._granted = 0
        self._may_be_granted = chance.happens(0.6)
        visitor = customer.visitor
        if visitor is not None:
            limits = (visitor.limits.requests, visitor.limits.budget_nano_usd, visitor.limits.concurrency)
            began_s = auditor.now_ms() // 1000
            for day in (utc_day(began_s + days * DAY_S) for days in range(-1, _MOST_DAYS)):
                registered.known(f"{customer.account.id}/visitor/{visitor.id_on(day)}", limits)
        for slot in filter(None, customer.slots):
            registered.known(f"lane/{slot.lane}/{slot.pool}", (10**12, 10**18, slot.size))

    async def request(self, process: Process) -> None:
        """One request, from its key to its settlement, as the gateway does it."""
        reached = self._auditor.reached
        CURRENT.get().begins_anew()
        self._auditor.refusals.pop(CURRENT.get().name, None)
        began_ms = self._auditor.now_ms()
        try:
            place = self._next_key()
            key_id = self._customer.keys[place].id
            capped_ms = self._registered.capped_since_ms(key_id)
            caller = await process.access.authenticate(self._customer.secrets[place], None, Journal())
            if isinstance(caller, Refusal):
                self._judge.turned_away(caller)
                return
            if self._customer.visitor is not None and self._chance.happens(0.3):
                caller = replace(caller, visitor=self._customer.visitor)
            wanted = self._wanted(caller)
            result = await process.reservations.reserve(wanted, self._tokenizer())
        except StoreError:
            # Whoever is held up for longer than a request may last gives up what was reserved.
            late = self._auditor.now_ms() - began_ms >= _LONGEST_MS
            assert self._faults_are_made or late, "the store worked, and yet a request was not served"
            reached["not served: the store failed"] += 1
            return
        if isinstance(result, Refusal):
            self._judge.refused(result, wanted, process)
            return
        long_capped = capped_ms is not None and capped_ms + KEEP_MS < began_ms
        still_capped = capped_ms == self._registered.capped_since_ms(key_id)
        self._judge.accepted(result, bound_by_cap=long_capped and still_capped)
        await asyncio.sleep(self._chance.choice([0, 0.3, 2, 20, 70, 100]))
        slots = self._customer.slots
        if slots and self._chance.happens(0.6):
            held = await process.reservations.slots.try_hold(result, self._chance.choice(slots))
            reached["went on to another pool" if held else "no place in another pool"] += 1
        try:
            entry = await process.reservations.settle(result, self._verdict(process, result), Timings())
        except StoreError:
            reached["not decided in time"] += 1
            return
        self._judge.settled(result, entry)

    async def flood(self, process: Process) -> None:
        """A client that never waits: floods are what refusals are remembered for."""
        for _ in range(8):
            await self.request(process)

    async def sweep(self, process: Process, *, full: bool = False) -> None:
        try:
            report = await process.sweeper.run(full=full)
        except StoreError:
            return
        self._auditor.reached["swept"] += report.windows

    def change(self, process: Process) -> tuple[str, Coroutine[Any, Any, None]]:
        """One operator's change, by name."""
        account, place = self._customer.account, self._chance.choice([0, 1, 1, 2])
        key = self._customer.keys[place]
        self._favoured = [place] * 6
        pick = self._chance.choice
        requests, budget, slots = pick([0, 2, 5, 20]), pick([*_BUDGETS, 0]), pick([1, 2, 5, 64])
        limits = AccountChange(requests_per_day=requests, budget_nano_usd_per_day=budget, concurrency=slots)
        caps = KeyChange(
            requests_per_day=pick([1, 4, 10, None]), budget_nano_usd_per_day=pick([*_BUDGETS, None]), concurrency=None
        )
        uncapped = KeyChange(requests_per_day=None, budget_nano_usd_per_day=None, concurrency=None)
        name, work = pick(
            [
                (f"limits {requests} {budget} {slots}", lambda: self._change_account(process, account.id, limits)),
                (f"limits {requests} {budget} {slots}", lambda: self._change_account(process, account.id, limits)),
                ("stop and start", lambda: self._stop_and_start(process, account.id)),
                ("start", lambda: self._change_account(process, account.id, AccountChange(enabled=True))),
                (f"caps of {key.ref}", lambda: self._change_key(process, key.id, caps)),
                (f"no caps of {key.ref}", lambda: self._change_key(process, key.id, uncapped)),
                ("disable a key", lambda: self._disable(process, self._customer.keys[2].id)),
                *[(f"grant {slots * 40}", lambda: self._grant(process, slots * 40))] * self._may_be_granted * 2,
            ]
        )
        if name == "disable a key":
            self._favoured = [2] * 6
        return name, self._operate(work)

    async def _operate(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._registered.under_way += 1
        done = False
        try:
            await work()
            done = True
        except (StoreError, AdministrationError):
            self._auditor.reached["change not confirmed"] += 1
        finally:
            self._registered.under_way -= 1
            self._registered.unfinished |= not done

    async def _change_account(self, process: Process, account_id: str, change: AccountChange) -> None:
        account = (await process.accounts.change(account_id, change)).after
        self._registered.promised(account.id, account.version)
        self._auditor.reached["account changed"] += 1

    async def _stop_and_start(self, process: Process, account_id: str) -> None:
        await self._change_account(process, account_id, AccountChange(enabled=False))
        await asyncio.sleep(self._chance.choice([0, 0, 1, 15]))
        await self._change_account(process, account_id, AccountChange(enabled=True))

    async def _change_key(self, process: Process, key_id: str, change: KeyChange) -> None:
        key = (await process.keys.change(key_id, change)).after
        self._registered.promised(f"{key.account_id}/{key.id}", key.caps_version)
        self._auditor.reached["caps changed" if key.caps else "caps removed"] += 1

    async def _grant(self, process: Process, amount: int) -> None:
        self._granted += 1
        correction = self._chance.happens(0.3)
        wanted = NewGrant(f"g{self._granted}", amount, "test", correction=correction)
        for _ in range(self._chance.choice([1, 1, 2])):
            await process.grants.grant(self._customer.account.id, wanted, "operator")

    async def _disable(self, process: Process, key_id: str) -> None:
        key = (await process.keys.disable(key_id)).after
        self._registered.promised_disabled(key.ref)
        self._auditor.reached["key disabled"] += 1

    def _next_key(self) -> int:
        return self._favoured.pop() if self._favoured else self._chance.choice([0, 0, 0, 1, 1, 2])

    def _wanted(self, caller: Caller) -> Wanted:
        cap = self._chance.choice([None, 0, 1, 10, 40, 90])
        size = InputSize(ascii_bytes=self._chance.choice([0, 10, 60, 100]), messages=1)
        ask = Ask(size=size, output_cap=cap, choices=self._chance.choice([1, 1, 2]))
        return Wanted(caller, MODEL, 1, ask, slots=self._customer.slots)

    def _tokenizer(self) -> Callable[[], Coroutine[Any, Any, int | None]] | None:
        counted = self._chance.choice([None, 3, 30])

        async def count_tokens() -> int | None:
            await asyncio.sleep(0.1)
            return counted

        return count_tokens if self._chance.happens(0.3) else None

    def _verdict(self, process: Process, reservation: Reservation) -> Verdict:
        """Any way a request can go, a lying upstream included."""
        kind = self._chance.choice(["answered", "answered", "answered", "error", "refused", "silence"])
        if kind == "error":
            return settlement.counted_free(Reason.CLIENT_ERROR)
        if kind == "refused":
            return settlement.released(Reason.UPSTREAM_REFUSED)
        if kind == "silence":
            return process.reservations.unanswered(reservation, Reason.NO_ANSWER)
        usage = TokenUsage(self._chance.choice([1, 5, 30, 500]), self._chance.choice([0, 1, 10, 300]))
        reason = self._chance.choice([Reason.ANSWERED, Reason.CLIENT_LEFT, Reason.UPSTREAM_BROKE])
        return settlement.charged_for_usage(reservation.terms, reason, usage, UsageSource.REPORTED)

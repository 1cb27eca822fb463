"""
Reserve and settle: the accounting protocol of one request, over every window that binds it.

One write before the upstream is called, two after:

1. reserve   each binding window takes the hold, by its own conditional update, narrowest first, the account last;
2. decide    the ledger entry is put if absent: from here on the outcome stands;
3. apply     each window gives back what was not charged.

Guarantees: a reservation id is attempted once; an attempt whose answer was lost is decided `released` before another
is made; no request is accepted unless every window took its hold; nothing is held that was refused.

An account with a balance is tried first with its budgets of the day and month; where one of them has no room for the
money, once more with the money held in the balance, and only its request and slot in the others (decision 32).
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from jatevo.application.fitting import BUDGET_BOUNDS, Fitting, Seen, refused_by_balance, refused_for_money
from jatevo.application.meter import Meter, NoMeter
from jatevo.application.openings import Openings, Renew
from jatevo.application.ports import (
    Clock,
    Directory,
    Ledger,
    OutcomeUnknown,
    Randomness,
    StoreError,
    StoreUnavailable,
    WindowStore,
)
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.application.settling import Settling
from jatevo.application.slots import Slots
from jatevo.application.wanted import Policy, Reservation, Wanted
from jatevo.domain import ids, metrics, settlement
from jatevo.domain.accounts import Caller
from jatevo.domain.binding import Binding, Funding, Kind, bindings, hold_in, mark_of, slot_binding
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.money import share_nano_usd
from jatevo.domain.projection import Projection
from jatevo.domain.refusals import Refusal
from jatevo.domain.settlement import Terms, Verdict
from jatevo.domain.windows import Bound, Hold, Limits, Refused, Window, WindowKey, opened

__all__ = ["CountTokens", "Policy", "Renew", "Reservation", "Reservations", "Wanted"]

_log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 8
_PROMPT_ATTEMPTS = 3
_MOST_FITTINGS = 5
_FIRST_PAUSE_S = 0.05


class CountTokens(Protocol):
    """Asks the upstream's own tokenizer how long the input is; None when it cannot tell."""

    def __call__(self) -> Awaitable[int | None]: ...


@dataclass(frozen=True, slots=True)
class _Try:
    """One way to pay for a request. `least`: with a default cap of any length, however short."""

    funding: Funding
    least: bool = True


_FROM_BUDGETS = (_Try(Funding.BUDGET),)
_WITH_A_BALANCE = (_Try(Funding.BUDGET, least=False), _Try(Funding.PREPAID), _Try(Funding.BUDGET))
"""A balance is there to be spent before an answer is cut short for want of budget."""


@dataclass(slots=True)
class _Asking:
    """A request on its way to a reservation: what changes between attempts."""

    wanted: Wanted
    projection: Projection
    funding: Funding
    expires_at: int
    count_tokens: CountTokens | None
    seen: dict[WindowKey, Seen]

    @property
    def caller(self) -> Caller:
        return self.wanted.caller


@dataclass(frozen=True, slots=True)
class _Missing:
    """Windows that have to be opened first."""

    bindings: Sequence[Binding]


@dataclass(frozen=True, slots=True)
class _Refused:
    """What a window refused, and how it binds."""

    binding: Binding
    refused: Refused


@dataclass(slots=True)
class _Attempt:
    """One attempt: an id of its own, and what it holds so far, or may hold."""

    id: str
    mark: str
    resale: int | None
    holds: list[tuple[WindowKey, Hold]] = field(default_factory=list)
    taken: list[tuple[Binding, Window]] = field(default_factory=list)
    place: int = 0


class Reservations:
    """The accounting protocol, for one gateway process."""

    def __init__(
        self,
        windows: WindowStore,
        ledger: Ledger,
        directory: Directory,
        clock: Clock,
        randomness: Randomness,
        policy: Policy,
        memory: RefusalMemory,
        renew: Renew | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._windows = windows
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._memory = memory
        self._meter = meter or NoMeter()
        self._fitting = Fitting(policy)
        self._openings = Openings(windows, directory, clock, memory, renew)
        self._settling = Settling(windows, ledger, directory, clock, memory, grace_s=policy.grace_s)
        self.slots = Slots(windows, self._openings)

    def deadline_unix_ms(self, reservation: Reservation) -> int:
        """Return until when an upstream may be read for a reservation: its expiry less the grace for settling."""
        return (reservation.expires_at_unix_s - self._policy.grace_s) * 1000

    async def reserve(self, wanted: Wanted, count_tokens: CountTokens | None = None) -> Reservation | Refusal:
        """
        Hold the worst case of a request in every window that binds it, or say which limit refused.

        A request without a cap of its own is given a smaller one when the default does not fit; one whose estimate
        does not fit is counted exactly where the upstream can. Raises StoreError when the store does not answer.
        """
        expires_at = self._clock.now_ms() // 1000 + self._policy.upstream_deadline_s + self._policy.grace_s
        refusals: dict[Funding, Refused] = {}
        asking: _Asking | None = None
        for one in _WITH_A_BALANCE if wanted.caller.account.prepaid else _FROM_BUDGETS:
            if one.funding in refusals and wanted.ask.output_cap is not None:
                continue
            asking = self._asking(wanted, one.funding, expires_at, count_tokens, asking)
            result = await self._tried(asking, least=one.least)
            if isinstance(result, Reservation):
                return result
            wanted, count_tokens = asking.wanted, asking.count_tokens
            if result is not None:
                refusals[one.funding] = result
                if one.funding is Funding.BUDGET and not refused_for_money(result):
                    break
        assert asking is not None, "there is at least one way to pay"
        told = [refusals[Funding.BUDGET]]
        told += [one for one in refusals.values() if refused_by_balance(one)]
        return self._fitting.refusal(wanted, asking.projection, told)

    async def settle(self, reservation: Reservation, verdict: Verdict, timings: Timings) -> LedgerEntry:
        """
        Decide how a reservation ends and apply the decision that stands to its windows.

        Repeats through store failures as long as the grace lasts, never past the expiry; then the sweeper finishes
        the work. Raises StoreError only when not even the decision could be stored by then.
        """
        return await self._settling.settle(reservation, verdict, timings, self.slots.taken(reservation))

    def unanswered(self, reservation: Reservation, reason: Reason, *, tries: int = 1) -> Verdict:
        """Return the verdict for a request that may have been billed upstream, `tries` times, and brought nothing."""
        ask, projection = reservation.wanted.ask, reservation.projection
        estimate = replace(
            settlement.estimated_usage(ask.size, produced_bytes=0, most_input_tokens=projection.input_tokens),
            output_tokens=projection.output_cap * projection.choices,
        )
        return settlement.unanswered(
            reservation.terms, reason, estimate, exposure_left_nano_usd=reservation.exposure_left_nano_usd, tries=tries
        )

    def _asking(
        self,
        wanted: Wanted,
        funding: Funding,
        expires_at: int,
        count_tokens: CountTokens | None,
        before: _Asking | None,
    ) -> _Asking:
        """Return a request as it is first tried with one funding, knowing what the tries before have seen."""
        now_ms = self._clock.now_ms()
        seen: dict[WindowKey, Seen] = {}
        for binding in self._bindings(wanted, now_ms, funding):
            known = before.seen.get(binding.key) if before is not None else None
            last = self._memory.last_seen(binding.key, now_ms) if known is None else known.window
            seen[binding.key] = Seen(binding, last or opened(binding.key, binding.limits or Limits(), 0))
        projection = self._fitting.fitting(wanted, seen.values())
        return _Asking(wanted, projection, funding, expires_at, count_tokens, seen)

    async def _tried(self, asking: _Asking, *, least: bool) -> Reservation | Refused | None:
        """
        Try to reserve with one funding, fitting the request more tightly as long as a budget refuses it.

        None: only an answer cut short fits, and that is not the `least` that is asked for.
        """
        for fitting in itertools.count(1):
            if not least and not self._fitting.comfortable(asking.wanted, asking.projection, asking.seen.values()):
                return None
            result = await self._attempts(asking)
            if isinstance(result, Reservation):
                return result
            refused = result.refused
            asking.seen[refused.window.key] = Seen(result.binding, refused.window)
            if refused.bound not in BUDGET_BOUNDS:
                return refused
            await _count_exactly(asking)
            tighter = self._fitting.fitting(asking.wanted, asking.seen.values())
            if tighter.amount_nano_usd >= asking.projection.amount_nano_usd or fitting == _MOST_FITTINGS:
                return refused
            asking.projection = tighter
        raise AssertionError("the loop above ends by returning")

    async def _attempts(self, asking: _Asking) -> Reservation | _Refused:
        """Attempt with fresh ids until a window decides, pausing a little longer each time the store is in the way."""
        for attempt in range(_MOST_ATTEMPTS):
            if pause_s := _pause_s(attempt):
                await asyncio.sleep(pause_s)
            result = await self._attempt(asking)
            if result is None:
                self._meter.add(metrics.CONTENTION)
            elif isinstance(result, _Missing):
                await self._openings.open_all(result.bindings, asking.caller)
            elif isinstance(result, _Refused) and await self._openings.caught_up(
                result.binding, result.refused.window, asking.caller
            ):
                continue
            else:
                return result
        raise StoreUnavailable("no attempt to reserve got an answer")

    async def _attempt(self, asking: _Asking) -> Reservation | _Refused | _Missing | None:
        """Attempt once, with an id of its own. None: the answer was lost or the store was busy; try another."""
        now_ms = self._clock.now_ms()
        reservation_id = ids.reservation_id(now_ms, self._randomness.bits(64))
        binding = self._bindings(asking.wanted, ids.reserved_at_ms(reservation_id), asking.funding)
        resale = self._fitting.resale_nano_usd(asking.wanted, asking.projection)
        attempt = _Attempt(reservation_id, mark_of(binding, resale), resale)
        steps: list[_Step] = [[(one, self._hold(asking, attempt, one))] for one in binding]
        remembered = self._remembered(steps, now_ms)
        if remembered is not None:
            return remembered
        slots = [None if slot is None else slot_binding(slot) for slot in asking.wanted.slots]
        if slots:
            first_after = next(place for place, one in enumerate(binding) if one.kind is not Kind.MINUTE)
            steps.insert(
                first_after, [None if one is None else (one, self._hold(asking, attempt, one)) for one in slots]
            )
        for step in steps:
            stopped = await self._take_first_free(attempt, step, now_ms)
            if stopped is not None:
                await self._give_back(self._reservation(asking, attempt), stopped)
                if isinstance(stopped, _Missing):
                    return replace(stopped, bindings=binding) if stopped.bindings[0] in binding else stopped
                return None if isinstance(stopped, StoreError) else stopped
        if self._clock.now_ms() // 1000 >= asking.expires_at - self._policy.grace_s:
            # No upstream could be read any more, and a sweeper may be ending what was taken first.
            late = StoreUnavailable("reserving took longer than a request may last")
            await self._give_back(self._reservation(asking, attempt), late)
            raise late
        await self._openings.mend(attempt.taken, asking.caller)
        return self._reservation(asking, attempt, tuple(one.key for one in binding if one.money))

    def _remembered(self, steps: "Sequence[_Step]", now_ms: int) -> _Refused | None:
        """Return the refusal that one of the holds would meet, as far as this process remembers."""
        for option in (step[0] for step in steps):
            assert option is not None, "only slots may be uncounted"
            refused = self._memory.recall(option[0].key, option[1], now_ms)
            if refused is not None:
                return _Refused(option[0], refused)
        return None

    async def _take_first_free(
        self, attempt: _Attempt, step: "_Step", now_ms: int
    ) -> "_Refused | _Missing | StoreError | None":
        """Take the first hold of a step that is free: only for a place in a pool are there several. None: taken."""
        stopped: _Refused | _Missing | StoreError | None = None
        for place, option in enumerate(step):
            stopped = None if option is None else await self._take(attempt, *option, now_ms)
            if stopped is None:
                attempt.place += place
                return None
            if not isinstance(stopped, _Refused) or stopped.refused.bound is not Bound.CONCURRENCY:
                return stopped
            if len(step) > 1 and stopped.binding.version > stopped.refused.window.limits_version:
                # It is behind: moved first, and then asked again.
                return stopped
        return stopped

    async def _take(
        self, attempt: _Attempt, binding: Binding, hold: Hold, now_ms: int
    ) -> "_Refused | _Missing | StoreError | None":
        """Take one hold. None: it is taken."""
        if binding.kind is Kind.SLOTS:
            remembered = self._memory.recall(binding.key, hold, now_ms)
            if remembered is not None:
                return _Refused(binding, remembered)
        try:
            result = await self._windows.reserve(binding.key, attempt.id, hold)
        except OutcomeUnknown as error:
            attempt.holds.append((binding.key, hold))
            return error
        except StoreError as error:
            return error
        if result is None and binding.kind is Kind.PREPAID:
            result = Refused(Bound.BUDGET_EMPTY, opened(binding.key, Limits(budget_nano_usd=0), 0))
        if result is None:
            return _Missing([binding])
        if isinstance(result, Refused):
            self._memory.note(result, now_ms)
            return _Refused(binding, result)
        self._memory.saw(result, now_ms)
        attempt.holds.append((binding.key, hold))
        attempt.taken.append((binding, result))
        return None

    async def _give_back(self, draft: Reservation, stopped: "_Refused | _Missing | StoreError") -> None:
        """End an attempt that was not accepted; one without an answer first of all, so that landing late is nothing."""
        if isinstance(stopped, OutcomeUnknown):
            _log.warning("reservation %s: no answer, releasing it", draft.id)
            await self._settling.release(draft, Reason.RESERVE_UNKNOWN)
        elif draft.holds:
            await self._settling.release(draft, Reason.WINDOW_REFUSED)

    def _bindings(self, wanted: Wanted, at_ms: int, funding: Funding) -> tuple[Binding, ...]:
        return bindings(wanted.caller, wanted.lane, wanted.price_version, at_ms // 1000, funding)

    def _hold(self, asking: _Asking, attempt: _Attempt, binding: Binding) -> Hold:
        return hold_in(
            binding,
            asking.caller.account.id,
            charge=asking.projection.amount_nano_usd,
            resale=attempt.resale,
            expires=asking.expires_at,
            ref=asking.caller.key.ref,
            mark=attempt.mark,
        )

    def _reservation(self, asking: _Asking, attempt: _Attempt, money_in: tuple[WindowKey, ...] = ()) -> Reservation:
        """Return what an attempt came to."""
        wanted, amount = asking.wanted, asking.projection.amount_nano_usd
        windows = tuple(window for _, window in attempt.taken)
        left = 0
        if windows:
            budget = windows[-1].limits.budget_nano_usd
            left = share_nano_usd(budget, self._policy.exposure_cap_bps) - windows[-1].exposed_nano_usd
        return Reservation(
            id=attempt.id,
            wanted=wanted,
            projection=asking.projection,
            terms=Terms(
                wanted.model.price,
                self._fitting.margin(wanted),
                amount,
                wanted.caller.reseller_margin_bps,
                attempt.resale or 0,
            ),
            holds=tuple(attempt.holds),
            windows=windows,
            exposure_left_nano_usd=left,
            money_in=money_in,
            place=attempt.place,
        )


type _Step = Sequence[tuple[Binding, Hold] | None]


async def _count_exactly(asking: _Asking) -> None:
    """Have the input counted by the upstream, once, and use that where it is less than was estimated."""
    if asking.count_tokens is None:
        return
    exact = await asking.count_tokens()
    asking.count_tokens = None
    if exact is not None and exact < asking.projection.input_tokens:
        asking.wanted = replace(asking.wanted, ask=replace(asking.wanted.ask, exact_input_tokens=exact))


def _pause_s(attempt: int) -> float:
    """None before the first attempts, which opening a window and catching up need; then doubling."""
    return 0.0 if attempt < _PROMPT_ATTEMPTS else min(1.0, _FIRST_PAUSE_S * 2.0 ** (attempt - _PROMPT_ATTEMPTS))

"""
Reserve and settle: the accounting protocol of one request, over every window that binds it.

One write before the upstream is called, two after:

1. reserve   each binding window takes the hold, by its own conditional update, narrowest first, the account last;
2. decide    the ledger entry is put if absent: from here on the outcome stands;
3. apply     each window gives back what was not charged.

Guarantees: a reservation id is attempted once; an attempt whose answer was lost is decided `released` before another
is made; no request is accepted unless every window took its hold; nothing is held that was refused.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from jatevo.application.limits import LimitChanges
from jatevo.application.ports import (
    Clock,
    Conflict,
    Directory,
    Ledger,
    OutcomeUnknown,
    Randomness,
    StoreError,
    StoreUnavailable,
    WindowStore,
)
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.domain import ids, settlement
from jatevo.domain.accounts import REVOCATION_MEMORY_S, Account, Caller, account_window, key_window, limits_on
from jatevo.domain.calendar import next_reset_unix_s, utc_day
from jatevo.domain.catalogue import Model
from jatevo.domain.lanes import SHARED, Lane, margin_for
from jatevo.domain.ledger import LedgerEntry, Reason, Timings
from jatevo.domain.money import share_nano_usd
from jatevo.domain.projection import (
    Ask,
    Projection,
    affordable_output_cap,
    project,
    shrink_default_cap,
    with_output_cap,
)
from jatevo.domain.refusals import Code, QuotaFacts, Refusal, Scope
from jatevo.domain.settlement import Terms, Verdict
from jatevo.domain.tokens import UsageSource
from jatevo.domain.windows import EVERY_KEY, Bound, Hold, Limits, Refused, Window, WindowKey, bound_against, opened

_log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 8
_PROMPT_ATTEMPTS = 3
_MOST_FITTINGS = 5
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_RELEASE_PATIENCE_S = 5
_BUDGET_BOUNDS = frozenset({Bound.BUDGET_EMPTY, Bound.BUDGET_TOO_SMALL, Bound.BUDGET_IN_FLIGHT})

_CODES = {
    Bound.KEY_BLOCKED: Code.KEY_DISABLED,
    Bound.REQUESTS_EMPTY: Code.REQUEST_QUOTA_EXHAUSTED,
    Bound.BUDGET_EMPTY: Code.BUDGET_EXHAUSTED,
    Bound.BUDGET_TOO_SMALL: Code.PROJECTED_COST_EXCEEDS_BUDGET,
    Bound.BUDGET_IN_FLIGHT: Code.BUDGET_IN_FLIGHT,
    Bound.CONCURRENCY: Code.CONCURRENCY_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How reservations are made.

    `upstream_deadline_s`: no upstream is read later than this after the reservation. `grace_s`: how long after that
    settling may take before the sweeper gives the reservation up. `exposure_cap_bps`: share of the daily budget up to
    which unanswered requests of a day are not charged.
    """

    upstream_deadline_s: int = 600
    grace_s: int = 30
    margin_bps: int = 1000
    exposure_cap_bps: int = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be reserved: a caller's request for a model, as the projection sees it."""

    caller: Caller
    model: Model
    price_version: int
    ask: Ask
    lane: Lane = Lane(SHARED)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request that was accepted, and all that its settlement needs."""

    id: str
    wanted: Wanted
    projection: Projection
    terms: Terms
    holds: tuple[tuple[WindowKey, Hold], ...]
    windows: tuple[Window, ...]
    """The windows that bind it, the account's last, right after this request was accepted."""
    exposure_left_nano_usd: int

    @property
    def window(self) -> Window:
        """The account's window."""
        return self.windows[-1]

    @property
    def reserved_at_ms(self) -> int:
        return ids.reserved_at_ms(self.id)

    @property
    def expires_at_unix_s(self) -> int:
        return self.holds[0][1].expires_at_unix_s


class CountTokens(Protocol):
    """Asks the upstream's own tokenizer how long the input is; None when it cannot tell."""

    def __call__(self) -> Awaitable[int | None]: ...


class Renew(Protocol):
    """
    Gives an account whose limits come from holdings those of a day, and returns it as it then is.

    Reservations without one never open a window for such an account.
    """

    def __call__(self, account_id: str, day: str) -> Awaitable[Account | None]: ...


@dataclass(frozen=True, slots=True)
class _Missing:
    """A window of this day has to be opened first."""

    day: str


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
    ) -> None:
        self._windows = windows
        self._ledger = ledger
        self._directory = directory
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._memory = memory
        self._renew = renew
        self._limits = LimitChanges(windows, clock)

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
        seen = self._expected_windows(wanted.caller)
        projection = self._fitting(wanted, seen.values())
        for fitting in itertools.count(1):
            result = await self._attempts(wanted, projection, expires_at)
            if not isinstance(result, Refused):
                return result
            seen[result.window.key] = result.window
            if result.bound in _BUDGET_BOUNDS and count_tokens is not None:
                exact, count_tokens = await count_tokens(), None
                if exact is not None and exact < projection.input_tokens:
                    wanted = replace(wanted, ask=replace(wanted.ask, exact_input_tokens=exact))
            tighter = self._fitting(wanted, seen.values())
            fits_better = tighter.amount_nano_usd < projection.amount_nano_usd
            if result.bound not in _BUDGET_BOUNDS or not fits_better or fitting == _MOST_FITTINGS:
                return self._refusal(wanted, projection, result)
            projection = tighter
        raise AssertionError("the loop above ends by returning")

    async def settle(self, reservation: Reservation, verdict: Verdict, timings: Timings) -> LedgerEntry:
        """
        Decide how a reservation ends and apply the decision that stands to its windows.

        Repeats through store failures as long as the grace lasts, never past the expiry; then the sweeper finishes
        the work. Raises StoreError only when not even the decision could be stored by then.
        """
        entry = self._entry(reservation, verdict, timings)
        until = min(reservation.expires_at_unix_s, self._clock.now_ms() // 1000 + self._policy.grace_s)
        stored = await self._until(until, lambda: self._ledger.decide(entry))
        await self._apply(reservation, stored, until)
        await self._learn(reservation, stored)
        return stored

    def unanswered(self, reservation: Reservation, reason: Reason, *, tries: int = 1) -> Verdict:
        """Return the verdict for a request that may have been billed upstream, `tries` times, and brought nothing."""
        ask, projection = reservation.wanted.ask, reservation.projection
        estimate = replace(
            settlement.estimated_usage(ask.size, produced_bytes=0),
            output_tokens=projection.output_cap * projection.choices,
        )
        return settlement.unanswered(
            reservation.terms, reason, estimate, exposure_left_nano_usd=reservation.exposure_left_nano_usd, tries=tries
        )

    async def _attempts(self, wanted: Wanted, projection: Projection, expires_at: int) -> Reservation | Refused:
        """Attempt with fresh ids until a window decides, pausing a little longer each time the store is in the way."""
        for attempt in range(_MOST_ATTEMPTS):
            await asyncio.sleep(_pause_s(attempt))
            result = await self._attempt(wanted, projection, expires_at)
            if isinstance(result, _Missing):
                await self._open_missing(wanted.caller, result.day)
            elif isinstance(result, Refused) and await self._caught_up(result.window, wanted.caller):
                continue
            elif result is not None:
                return result
        raise StoreUnavailable("no attempt to reserve got an answer")

    async def _attempt(
        self, wanted: Wanted, projection: Projection, expires_at: int
    ) -> Reservation | Refused | _Missing | None:
        """Attempt once, with an id of its own. None: the answer was lost or the store was busy; try another."""
        now_ms = self._clock.now_ms()
        reservation_id = ids.reservation_id(now_ms, self._randomness.bits(64))
        day = utc_day(ids.reserved_at_ms(reservation_id) // 1000)
        hold = Hold(projection.amount_nano_usd, expires_at, wanted.caller.key.ref)
        keys = self._binding_windows(wanted.caller, day)
        remembered = next(filter(None, (self._memory.recall(key, hold, now_ms) for key in keys)), None)
        if remembered is not None:
            return remembered
        draft = Reservation(
            id=reservation_id,
            wanted=wanted,
            projection=projection,
            terms=Terms(wanted.model.price, self._margin_bps(wanted), hold.amount_nano_usd),
            holds=tuple((key, hold) for key in keys),
            windows=(),
            exposure_left_nano_usd=0,
        )
        taken = await self._hold_all(draft, now_ms)
        if not isinstance(taken, list):
            return taken
        await self._mend(taken, wanted.caller)
        window = taken[-1]
        cap = share_nano_usd(window.limits.budget_nano_usd, self._policy.exposure_cap_bps)
        return replace(draft, windows=tuple(taken), exposure_left_nano_usd=cap - window.exposed_nano_usd)

    async def _hold_all(self, draft: Reservation, now_ms: int) -> list[Window] | Refused | _Missing | None:
        """Take the holds of an attempt in their order. Return the windows, the account's last, once all are taken."""
        taken: list[Window] = []
        for place, (key, hold) in enumerate(draft.holds):
            try:
                result = await self._windows.reserve(key, draft.id, hold)
            except StoreError as error:
                await self._give_up(draft, error, held=place)
                return None
            if isinstance(result, Refused):
                self._memory.note(result, now_ms)
            if not isinstance(result, Window):
                await self._release_held(draft, held=place)
                return _Missing(key.period) if result is None else result
            self._memory.saw(result, now_ms)
            taken.append(result)
        return taken

    async def _mend(self, taken: Sequence[Window], caller: Caller) -> None:
        """Bring windows that took a hold up to date, where a crash left them behind. The hold stands either way."""
        for window in taken:
            try:
                await self._caught_up(window, caller)
            except StoreError:
                _log.warning("the window %s %s stays behind for now", window.key.owner, window.key.period)

    async def _give_up(self, draft: Reservation, error: StoreError, *, held: int) -> None:
        """End an attempt that got no answer: decided `released` first, so that landing late changes nothing."""
        if isinstance(error, OutcomeUnknown):
            _log.warning("reservation %s: no answer, releasing it", draft.id)
            await self._release(draft, Reason.RESERVE_UNKNOWN)
        else:
            await self._release_held(draft, held=held)

    async def _release_held(self, draft: Reservation, *, held: int) -> None:
        """Give back the holds taken before a later window refused."""
        if held:
            await self._release(replace(draft, holds=draft.holds[:held]), Reason.WINDOW_REFUSED)

    async def _release(self, draft: Reservation, reason: Reason) -> None:
        """Release an attempt that was not accepted, while its client waits: so for a few seconds at most."""
        entry = self._entry(draft, settlement.released(reason), Timings())
        until = min(draft.expires_at_unix_s, self._clock.now_ms() // 1000 + _RELEASE_PATIENCE_S)
        stored = await self._until(until, lambda: self._ledger.decide(entry))
        await self._apply(draft, stored, until)

    def _binding_windows(self, caller: Caller, day: str) -> Sequence[WindowKey]:
        account = account_window(caller.account.id, day)
        if caller.key.caps is None:
            return (account,)
        return (key_window(caller.account.id, caller.key.id, day), account)

    async def _open_missing(self, caller: Caller, day: str) -> None:
        """Open all windows that bind a caller: one alone would only find the next one missing."""
        for key in self._binding_windows(caller, day):
            await self._open(key, caller)

    async def _open(self, key: WindowKey, caller: Caller) -> None:
        """
        Open a window with what its account and key say now.

        When they changed meanwhile, or others are opening it too, nothing is done: the next attempt looks again. So it
        is when the account has limits of another day only: those of a later one, by a clock ahead of this.
        """
        account = await self._directory.account(caller.account.id, fresh=True)
        if account is not None and limits_on(account, key.period) is None and self._renew is not None:
            account = await self._renew(account.id, key.period)
        if account is None:
            raise StoreUnavailable("the account has gone")
        digest = None
        if key.owner == account.id:
            limits = limits_on(account, key.period)
            if limits is None:
                return
            window = opened(key, limits, account.version, _blocks(account, self._clock.now_ms() // 1000))
        else:
            digest = caller.key.digest
            api_key = await self._directory.key(digest, fresh=True) or caller.key
            window = opened(key, api_key.caps or Limits(), api_key.caps_version)
        with contextlib.suppress(Conflict, StoreUnavailable):
            await self._windows.open(window, account.version, key_digest=digest)

    async def _caught_up(self, window: Window, caller: Caller) -> bool:
        """Bring a window that is behind its account or key up to date. Return whether it was behind."""
        account, key = caller.account, caller.key
        limits, version, stopped = limits_on(account, window.key.period), account.version, not account.enabled
        if window.key.owner != account.id:
            limits, version, stopped = key.caps or Limits(), key.caps_version, False
        if window.limits_version >= version:
            return False
        await self._limits.adjust(window.key, limits, version, stopped=stopped)
        self._memory.forget(window.key)
        return True

    def _expected_windows(self, caller: Caller) -> dict[WindowKey, Window]:
        """Return how the windows that bind a caller looked last, or will look when they are opened."""
        now_ms = self._clock.now_ms()
        expected = {}
        for key in self._binding_windows(caller, utc_day(now_ms // 1000)):
            limits = caller.account.limits if key.owner == caller.account.id else caller.key.caps or Limits()
            expected[key] = self._memory.last_seen(key, now_ms) or opened(key, limits, 0)
        return expected

    def _fitting(self, wanted: Wanted, windows: Iterable[Window]) -> Projection:
        """
        Return the worst case. A default cap is made to fit every one of `windows`; a client's own is never changed.

        Where a window has no room for any, the default cap stands: the store will say whether that is still so.
        """
        margin = self._margin_bps(wanted)
        projection = project(wanted.model, wanted.ask, margin)
        if wanted.ask.output_cap is not None:
            return projection
        shrunk = [
            shrink_default_cap(
                wanted.model,
                wanted.ask,
                margin,
                budget_left_nano_usd=window.budget_left_nano_usd,
                free_slots=window.free_slots,
            )
            for window in windows
        ]
        return min(filter(None, [*shrunk, projection]), key=lambda candidate: candidate.amount_nano_usd)

    def _refusal(self, wanted: Wanted, projection: Projection, refused: Refused) -> Refusal:
        """
        Return the refusal of a request by a window, true for the least that would have served it.

        A request without a cap would have been served with any: so what is too much for good, and what only until
        requests under way settle, is judged by the smallest.
        """
        window, bound = refused.window, refused.bound
        margin = self._margin_bps(wanted)
        if bound in _BUDGET_BOUNDS and wanted.ask.output_cap is None:
            projection = with_output_cap(wanted.model, wanted.ask, margin, cap=1)
            least = Hold(projection.amount_nano_usd, 0, wanted.caller.key.ref)
            bound = bound_against(window, least) or Bound.BUDGET_IN_FLIGHT
        room = window.budget_left_nano_usd + window.held_nano_usd
        facts = QuotaFacts(
            scope=Scope.ACCOUNT if window.key.owner == wanted.caller.account.id else Scope.KEY,
            resets_at_unix_s=next_reset_unix_s(self._clock.now_ms() // 1000),
            requests_limit=window.limits.requests,
            requests_left=window.requests_left,
            budget_limit_nano_usd=window.limits.budget_nano_usd,
            budget_left_nano_usd=window.budget_left_nano_usd,
            projected_nano_usd=projection.amount_nano_usd,
            affordable_output_tokens=affordable_output_cap(wanted.model, wanted.ask, margin, room),
            concurrency_limit=window.limits.concurrency,
        )
        return Refusal(_CODES[bound], quota=facts)

    def _entry(self, reservation: Reservation, verdict: Verdict, timings: Timings) -> LedgerEntry:
        wanted = reservation.wanted
        return LedgerEntry(
            account_id=wanted.caller.account.id,
            day=utc_day(reservation.reserved_at_ms // 1000),
            reservation_id=reservation.id,
            outcome=verdict.outcome,
            reason=verdict.reason,
            reserved_nano_usd=reservation.terms.reserved_nano_usd,
            windows=tuple(key for key, _ in reservation.holds),
            key_id=wanted.caller.key.id,
            model=wanted.model.id,
            lane=wanted.lane.id,
            price_version=wanted.price_version,
            usage=verdict.usage,
            usage_source=verdict.usage_source,
            figures=verdict.figures,
            timings=timings,
            decided_at_ms=self._clock.now_ms(),
        )

    async def _apply(self, reservation: Reservation, stored: LedgerEntry, until_unix_s: int) -> None:
        for key, hold in reservation.holds:
            exposed = stored.figures.exposure_nano_usd if key.owner == stored.account_id else 0

            async def once(key: WindowKey = key, hold: Hold = hold, exposed: int = exposed) -> bool:
                return await self._windows.settle(
                    key,
                    reservation.id,
                    hold,
                    charge_nano_usd=stored.figures.charge_nano_usd,
                    give_request_back=stored.gives_request_back,
                    exposed_nano_usd=exposed,
                )

            try:
                await self._until(until_unix_s, once)
            except StoreError:
                _log.warning("reservation %s: decided, not applied; the sweeper will", reservation.id)
            self._memory.forget(key)

    async def _learn(self, reservation: Reservation, stored: LedgerEntry) -> None:
        """Feed an input that was larger than projected back into the account's estimate."""
        projected, reported = reservation.projection.input_tokens, stored.usage.input_tokens
        if stored.usage_source is not UsageSource.REPORTED or reported <= projected:
            return
        applied = reservation.wanted.ask.estimate_permille
        permille = settlement.observed_estimate_permille(projected, reported, applied)
        try:
            await self._directory.raise_estimate(stored.account_id, permille, self._clock.now_ms() // 1000)
        except StoreError:
            _log.warning("reservation %s: the observed estimate was not stored", reservation.id)

    async def _until[T](self, until_unix_s: int, send: Callable[[], Awaitable[T]]) -> T:
        """Repeat an idempotent write through store failures, until the given time."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return await send()
            except StoreError:
                if self._clock.now_ms() // 1000 + pause_s >= until_unix_s:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    def _margin_bps(self, wanted: Wanted) -> int:
        return margin_for(wanted.caller.account.margin_bps, wanted.lane, self._policy.margin_bps)


def _pause_s(attempt: int) -> float:
    """None before the first attempts, which opening a window and catching up need; then doubling."""
    return 0.0 if attempt < _PROMPT_ATTEMPTS else min(1.0, _FIRST_PAUSE_S * 2.0 ** (attempt - _PROMPT_ATTEMPTS))


def _blocks(account: Account, now_unix_s: int) -> frozenset[str]:
    recent = {ref for ref, at in account.revoked.items() if now_unix_s - at < REVOCATION_MEMORY_S}
    return frozenset(recent if account.enabled else recent | {EVERY_KEY})

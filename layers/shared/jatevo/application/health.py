"""
How pools stand, as this process knows it: breakers, requests under way, and what operators took out of use.

What is shared between processes is read every few seconds and written only when a breaker changes its state or an
operator drains a pool; no request costs a read or a write. Guarantees: whatever the store does, no method raises, and
no request fails for it. A pool is judged by several accounts: what one account met holds for that account at once, and
for others only when it cannot have been that account's requests alone. Who has places of its own in a pool is not kept
from them by what others met there.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jatevo.application.ports import Clock, StoreError
from jatevo.application.routes_store import HealthStore, Known, Shared
from jatevo.domain.breaker import Breaker, Evidence, Failure, Rules, State
from jatevo.domain.refusals import shown
from jatevo.domain.routing import Standing
from jatevo.domain.service import Pause, Service

_log = logging.getLogger(__name__)

_MOST_KEPT = 10_000
_TOLERATED = 1
"""Failures of one account's requests at a pool before that account's next ones go elsewhere first."""
_AS_LONG = 3
"""How many times as long as a failure took its account goes elsewhere first: most of the time is not spent waiting."""


@dataclass(slots=True)
class _Pool:
    shared: Shared = field(default_factory=Shared)
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What one account met at one pool. `hold`: until then it is not asked at all for this account."""

    failures: int
    until_ms: int
    hold: bool


class Health:
    """The standing of pools, for one gateway process."""

    def __init__(self, store: HealthStore, clock: Clock, rules: Rules, *, keep_ms: int = 10_000) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._keep_ms = keep_ms
        self._read_at_ms: int | None = None
        self._reading: asyncio.Task[None] | None = None
        self._pools: dict[str, _Pool] = {}
        self._service = Service()
        self._doubts: dict[tuple[str, str], _Doubt] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._other_names: set[tuple[str, str, str]] = set()

    async def refresh(self) -> None:
        """Read what is shared when it is older than `keep_ms`; what cannot be read stays as it was."""
        now_ms = self._clock.now_ms()
        if self._read_at_ms is not None and now_ms - self._read_at_ms < self._keep_ms:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read(now_ms))
        await asyncio.shield(self._reading)

    def pause(self) -> Pause | None:
        """Return what stops the service, as this process knows it."""
        return self._service.pause_at(self._clock.now_ms() // 1000)

    def forget(self) -> None:
        """Have the next request read anew what is shared."""
        self._read_at_ms = None

    def standing(self, pool_id: str, account_id: str, *, own_places: bool = False) -> tuple[Standing, int]:
        """
        Return how a pool stands for an account, and until when that holds where it cannot be asked.

        `own_places`: its lane has some there that nobody else can take. Then a rest that others caused makes the pool
        its last choice only, until its own requests fail there as well.
        """
        now_ms = self._clock.now_ms()
        pool = self._pools.get(pool_id) or _Pool()
        if pool.shared.drained_by is not None:
            return Standing.DRAINED, 0
        breaker = pool.shared.breaker
        asks = breaker.asks(now_ms)
        doubt = self._doubts.get((account_id, pool_id))
        doubted = doubt is not None and now_ms < doubt.until_ms
        if asks is State.OPEN:
            return (Standing.DOUBTED, 0) if own_places and not doubted else (Standing.COOLING, breaker.until_ms)
        if doubt is not None and doubted:
            return (Standing.COOLING, doubt.until_ms) if doubt.hold else (Standing.DOUBTED, 0)
        return (Standing.PROBE if asks is State.HALF_OPEN else Standing.WELL), 0

    def under_way(self, pool_id: str, share: str) -> int:
        """Return how many requests of this process a pool has under way in a share of its concurrency."""
        return self._under_way[pool_id, share]

    @contextmanager
    def counted(self, pool_id: str, share: str) -> Iterator[None]:
        """Count a request as under way."""
        self._under_way[pool_id, share] += 1
        try:
            yield
        finally:
            self._under_way[pool_id, share] -= 1

    async def may_ask(self, pool_id: str, account_id: str, *, own_places: bool = False) -> tuple[bool, bool]:
        """
        Return whether a pool may be asked at this moment, and whether that is its one probe, which is then taken.

        `own_places` as in `standing`: then it may be asked without being its probe.
        """
        standing, _ = self.standing(pool_id, account_id, own_places=own_places)
        breaker = self._pool(pool_id).shared.breaker
        if standing in {Standing.COOLING, Standing.DRAINED}:
            return False, False
        now_ms = self._clock.now_ms()
        if breaker.asks(now_ms) is not State.HALF_OPEN:
            return True, False
        taken = await self._advance(pool_id, breaker.claimed(now_ms, self._rules))
        return taken or own_places, taken

    async def answered(self, pool_id: str, account_id: str, *, probe: bool) -> None:
        """Take note that a pool answered, be it to say that a body is wrong."""
        pool = self._pool(pool_id)
        pool.evidence = Evidence()
        self._doubts.pop((account_id, pool_id), None)
        if probe and pool.shared.breaker.state is State.HALF_OPEN:
            await self._advance(pool_id, pool.shared.breaker.recovered())

    def note_model(self, pool_id: str, asked: str, answered_as: str | None) -> None:
        """Tell the operator of a pool that says another model answered than was asked: once for each such name."""
        other = (pool_id, asked, shown(answered_as or asked))
        if other[2] == shown(asked) or other in self._other_names or len(self._other_names) >= _MOST_KEPT:
            return
        self._other_names.add(other)
        _log.warning("pool %s: asked for the model %s, answered as %r", *other)

    async def failed(
        self,
        pool_id: str,
        account_id: str,
        *,
        probe: bool,
        blameless: bool,
        of_the_route: bool = False,
        retry_after_s: int | None = None,
        took_ms: int = 0,
    ) -> None:
        """
        Take note of a failed try. `blameless`: no request can have caused it, so that no account has to bear it.
        `of_the_route`: the model is not there, which is no evidence against a pool that serves others.

        `took_ms`: how long it was waited for. `retry_after_s` is what the upstream asked for: it holds for this account
        at once, and for all once a second account was told to wait, or failed.
        """
        if self._rules.failures == 0:
            return
        now_ms = self._clock.now_ms()
        pool = self._pool(pool_id)
        if not of_the_route:
            failure = Failure(now_ms, None if blameless else account_id, took_ms)
            pool.evidence = pool.evidence.with_failure(failure, self._rules)
        self._doubt(pool_id, account_id, now_ms, retry_after_s, took_ms)
        breaker = pool.shared.breaker
        told = retry_after_s is not None and len({kept.account for kept in pool.evidence.failures}) > 1
        if probe or (breaker.state is State.CLOSED and (told or pool.evidence.convicts(self._rules))):
            at_least_ms = (retry_after_s or 0) * 1000
            await self._advance(pool_id, breaker.tripped(now_ms, self._rules, at_least_ms=at_least_ms))

    def _doubt(self, pool_id: str, account_id: str, now_ms: int, retry_after_s: int | None, took_ms: int) -> None:
        known = self._doubts.get((account_id, pool_id))
        recent = known is not None and now_ms < known.until_ms + self._rules.memory_ms
        failures = 1 + (known.failures if known is not None and recent else 0)
        wait_ms = _AS_LONG * took_ms
        if failures > _TOLERATED:
            wait_ms = max(wait_ms, self._rules.cooldown_ms << min(failures - _TOLERATED - 1, 20))
        if retry_after_s is not None:
            wait_ms = max(1, retry_after_s) * 1000
        if len(self._doubts) >= _MOST_KEPT:
            self._doubts.clear()
        until_ms = now_ms + min(wait_ms, self._rules.longest_ms)
        self._doubts[account_id, pool_id] = _Doubt(failures, until_ms, hold=retry_after_s is not None)

    async def _advance(self, pool_id: str, breaker: Breaker) -> bool:
        """Move a breaker, here and for everybody. False when another process was first: then its state is read."""
        pool = self._pool(pool_id)
        previous = pool.shared
        # Before the write is answered, so that no second request of this process probes as well.
        pool.shared = Shared(breaker, previous.drained_by, previous.drained_at_unix_s)
        try:
            if await self._store.advance(pool_id, breaker, now_ms=self._clock.now_ms()):
                _log.warning("pool %s: breaker %s until %d", pool_id, breaker.state, breaker.until_ms)
                return True
        except StoreError as error:
            _log.warning("pool %s: breaker %s known to this process only: %s", pool_id, breaker.state, error)
            return True
        pool.shared = previous
        self._read_at_ms = None
        await self.refresh()
        return False

    async def _read(self, now_ms: int) -> None:
        try:
            read = await self._store.read()
        except StoreError as error:
            _log.warning("the health of pools cannot be read: %s", error)
        else:
            self._take(read, now_ms)
        self._read_at_ms = now_ms

    def _take(self, known: Known, now_ms: int) -> None:
        read = known.pools
        self._service = known.service
        for pool_id in self._pools.keys() | read.keys():
            pool = self._pool(pool_id)
            shared = read.get(pool_id, Shared())
            breaker = shared.breaker.believed(now_ms, self._rules)
            if breaker.version <= pool.shared.breaker.version:
                # Read before this process's own change, or one that could not be stored.
                breaker = pool.shared.breaker
            pool.shared = Shared(breaker, shared.drained_by, shared.drained_at_unix_s)

    def _pool(self, pool_id: str) -> _Pool:
        return self._pools.setdefault(pool_id, _Pool())

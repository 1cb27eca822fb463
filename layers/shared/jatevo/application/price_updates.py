"""
One scheduled run of the oracle: ask every source at once, decide, store.

Guarantees: no source is waited for longer than `deadline_s`, and none that fails keeps another from being heard; a run
counts as of when it began to ask, and one that began earlier than the last decision changes nothing; runs that race
are put one behind the other by the store, each decided anew on top of what stands.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from jatevo.application.ports import Clock, Conflict
from jatevo.application.prices import PriceRecord, PriceSource, PriceStore, Told
from jatevo.domain.market import MarketState
from jatevo.domain.oracle import Oracle, quote
from jatevo.domain.price_agreement import Standing, agreement
from jatevo.domain.price_rules import PriceRules
from jatevo.domain.prices import Failing, Heard, NoObservation

_log = logging.getLogger(__name__)

_MOST_TRIES = 8
LATE = "late"
"""The reason of a run that changed nothing because a later decision stands."""


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What a run did. `alarming`: somebody should look."""

    reason: str
    state: MarketState
    price_pico_usd: int | None
    agreed: int
    asked: int
    age_s: int | None = None
    """How long ago the price was last good; None: never."""

    @property
    def alarming(self) -> bool:
        return self.state in {MarketState.DEGRADED, MarketState.STALE}


class PriceUpdates:
    """Runs the oracle."""

    def __init__(
        self,
        sources: Sequence[PriceSource],
        store: PriceStore,
        clock: Clock,
        rules: PriceRules,
        *,
        deadline_s: float = 20.0,
    ) -> None:
        self._sources = sources
        self._store = store
        self._clock = clock
        self._rules = rules
        self._deadline_s = deadline_s

    async def run(self) -> UpdateReport:
        """Run once. Raises StoreError."""
        now_ms = self._clock.now_ms()
        heard = await asyncio.gather(*(self._heard(source, now_ms // 1000) for source in self._sources))
        for silent in heard:
            if isinstance(silent, NoObservation):
                _log.warning("price source %s: %s %s", silent.source, silent.failing, silent.detail)
        for _ in range(_MOST_TRIES):
            oracle = await self._store.read()
            if now_ms <= oracle.at_ms:
                return self._report(LATE, oracle, now_ms)
            agreed = agreement(heard, oracle.market.price_pico_usd, now_ms // 1000, self._rules)
            after, reason = oracle.after_run(agreed, now_ms, self._rules)
            told = told_of(after, oracle, reason, self._rules)
            if await self._store.add(PriceRecord(after, told), previous=oracle):
                return self._report(reason, after, now_ms)
        raise Conflict("others decide at this moment")

    async def _heard(self, source: PriceSource, now_unix_s: int) -> Heard:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await source.observe(now_unix_s)
        except TimeoutError:
            return NoObservation(source.name, Failing.TIMEOUT, f"no answer in {self._deadline_s:g} s")
        except Exception as error:  # noqa: BLE001 - a source at fault must not silence the others
            _log.exception("the price source %s failed", source.name)
            return NoObservation(source.name, Failing.BROKEN, type(error).__name__)

    def _report(self, reason: str, oracle: Oracle, now_ms: int) -> UpdateReport:
        found = quote(oracle, now_ms // 1000, self._rules)
        agreed = sum(witness.standing is Standing.AGREED for witness in oracle.witnesses)
        good_at = found.as_of_unix_s
        age_s = None if good_at is None else max(0, now_ms // 1000 - good_at)
        return UpdateReport(str(reason), found.state, found.price_pico_usd, agreed, len(self._sources), age_s)


def told_of(
    after: Oracle, before: Oracle, reason: str, rules: PriceRules, *, operator: str = "", note: str = ""
) -> Told:
    """Return the line of history of a decision."""
    found, previous = quote(after, after.at_unix_s, rules), quote(before, after.at_unix_s, rules)
    return Told(
        at_ms=after.at_ms,
        reason=str(reason),
        state=str(found.state),
        previous_state=str(previous.state),
        market_pico_usd=after.market.price_pico_usd,
        effective_pico_usd=found.price_pico_usd,
        previous_effective_pico_usd=previous.price_pico_usd,
        average_pico_usd=found.average_pico_usd,
        ceiling_pico_usd=found.ceiling_pico_usd,
        rate_pico_usd=after.rate.price_pico_usd if after.rate else None,
        previous_rate_pico_usd=before.rate.price_pico_usd if before.rate else None,
        rate_expires_at_unix_s=after.rate.expires_at_unix_s if after.rate else None,
        operator=operator,
        note=note,
        witnesses=after.witnesses,
    )

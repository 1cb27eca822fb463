"""
Prices for those who need one, and the ports behind them.

Every decision is a `PriceRecord`: the oracle after it, and what is told of it in the history. The store takes one only
on top of the decision it was made from, so decisions form one chain, whoever races.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jatevo.domain.oracle import Oracle, Quote, quote
from jatevo.domain.price_agreement import Witness
from jatevo.domain.price_rules import PriceRules
from jatevo.domain.prices import Heard


class Prices(Protocol):
    """Where entitlements get the token's price."""

    async def quote(self, now_unix_s: int) -> Quote:
        """
        Return the price at an instant. It reads the store once and asks no source.

        `price_pico_usd` None: open nothing new on it, leave what is open as it is. Raises StoreError.
        """
        ...


class PriceSource(Protocol):
    """One source of the token's price."""

    @property
    def name(self) -> str:
        """The name under which its word counts: sources of one name are one source."""
        ...

    async def observe(self, now_unix_s: int) -> Heard:
        """Return what it says now. A failure is a value; nothing is raised."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """
    One line of the history: why a decision was made, and what it changed.

    `reason` is a `Reason` of a run, or `rate_set`, `rate_cleared`; those carry `operator` and `note`, the operator's
    own reason, and are kept for good.
    """

    at_ms: int
    reason: str
    state: str
    previous_state: str
    market_pico_usd: int | None
    effective_pico_usd: int | None
    previous_effective_pico_usd: int | None
    average_pico_usd: int | None
    ceiling_pico_usd: int | None
    rate_pico_usd: int | None = None
    previous_rate_pico_usd: int | None = None
    rate_expires_at_unix_s: int | None = None
    operator: str = ""
    note: str = ""
    witnesses: tuple[Witness, ...] = ()

    @property
    def audited(self) -> bool:
        return bool(self.operator)


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """A decision: the oracle after it, and what is told of it."""

    oracle: Oracle
    told: Told


class PriceStore(Protocol):
    """The oracle's state and its history."""

    async def read(self) -> Oracle:
        """Return the oracle as last decided; a new one when nothing was (strongly consistent)."""
        ...

    async def add(self, record: PriceRecord, *, previous: Oracle) -> bool:
        """
        Store a decision that was made from `previous`, and its line of history, both or neither.

        Return False when another decision was stored meanwhile. Harmless to repeat: a decision that is stored already
        is no conflict with itself.
        """
        ...

    async def history(self, *, limit: int, before_ms: int | None = None, audit: bool = False) -> Sequence[Told]:
        """Return decisions, the latest first; with `audit` only operators' changes."""
        ...


class StoredPrices:
    """The `Prices` port over what was last decided."""

    def __init__(self, store: PriceStore, rules: PriceRules) -> None:
        self._store = store
        self._rules = rules

    async def quote(self, now_unix_s: int) -> Quote:
        return quote(await self._store.read(), now_unix_s, self._rules)

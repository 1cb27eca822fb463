"""
The port to what processes share about pools: their breakers, and which an operator took out of use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from jatevo.domain.breaker import Breaker


@dataclass(frozen=True, slots=True)
class Shared:
    """What is known of one pool. `drained_by`: the operator who took it out of use, None while it is in use."""

    breaker: Breaker = field(default_factory=Breaker)
    drained_by: str | None = None
    drained_at_unix_s: int = 0
    changed_at_unix_s: int = 0
    """When the breaker last changed its state."""


class HealthStore(Protocol):
    """Breakers and drained pools. Raises StoreError."""

    async def read(self) -> Mapping[str, Shared]:
        """Return what is known, by pool. A pool that is not there has never failed. May be a moment old."""
        ...

    async def advance(self, pool_id: str, breaker: Breaker, *, now_ms: int) -> bool:
        """Store a breaker unless its version is there already, or a later one: then return False."""
        ...

    async def drain(self, pool_id: str, operator: str | None, *, now_unix_s: int) -> None:
        """Take a pool out of use, or, with None, back into it."""
        ...

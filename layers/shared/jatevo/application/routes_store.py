"""
The port to what processes share: the breakers of pools, which an operator took out of use, and whether the service
takes requests at all. One read brings all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from jatevo.domain.breaker import Breaker
from jatevo.domain.service import Service


@dataclass(frozen=True, slots=True)
class Shared:
    """What is known of one pool. `drained_by`: the operator who took it out of use, None while it is in use."""

    breaker: Breaker = field(default_factory=Breaker)
    drained_by: str | None = None
    drained_at_unix_s: int = 0
    changed_at_unix_s: int = 0
    """When the breaker last changed its state."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is shared. A pool that is not there has never failed."""

    pools: Mapping[str, Shared] = field(default_factory=dict)
    service: Service = field(default_factory=Service)


class HealthStore(Protocol):
    """Breakers, drained pools and the service. Raises StoreError."""

    async def read(self) -> Known:
        """Return what is known. May be a moment old."""
        ...

    async def put_service(self, service: Service) -> bool:
        """Store the service as changed from its version. Return False when somebody else has changed it meanwhile."""
        ...

    async def advance(self, pool_id: str, breaker: Breaker, *, now_ms: int) -> bool:
        """Store a breaker unless its version is there already, or a later one: then return False."""
        ...

    async def drain(self, pool_id: str, operator: str | None, *, now_unix_s: int) -> None:
        """Take a pool out of use, or, with None, back into it."""
        ...

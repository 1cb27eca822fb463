"""
The audit trail: what operators changed, who, when, and what it was before and after. Nothing in it is ever edited.

A change is recorded once it is made; `before` and `after` are what the API shows of its subject, so they hold no
secret. One that could not be recorded is reported to its operator as unclear, to be looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jatevo.application.ports import Clock, Randomness


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `subject` names what was changed, such as `acct_…`; None: there was nothing before, or is after."""

    at_ms: int
    operator: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class AuditStore(Protocol):
    """Where changes are kept. Raises StoreError."""

    async def add(self, change: Change, *, random_bits: int) -> None:
        """Store a change; `random_bits` tell apart those of one millisecond."""
        ...

    async def changes(self, month: str, limit: int) -> Sequence[Change]:
        """Return the latest changes of a month such as `2026-11`, newest first."""
        ...


class Audit:
    """Records changes as they are made."""

    def __init__(self, store: AuditStore, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness

    async def note(
        self,
        operator: str,
        action: str,
        subject: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a change; one that changed nothing is none. Raises StoreError."""
        if before != after:
            change = Change(self._clock.now_ms(), operator, action, subject, before, after)
            await self._store.add(change, random_bits=self._randomness.bits(40))

    async def changes(self, month: str, limit: int = 100) -> Sequence[Change]:
        """Return the latest changes of a month, newest first."""
        return await self._store.changes(month, limit)

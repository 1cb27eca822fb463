"""
The audit trail: what operators changed, who, when, and what it was before and after.

A line is written before a change is tried and completed once it is made, so that nothing is changed without one:
without a trail nothing is changed at all, and what a crash interrupts stays in it as *unclear*, with what was asked
for. What was refused, or changed nothing, is no change and is not shown. `before` and `after` are what the API shows of
a subject, so they hold no secret.
"""

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from jatevo.application.administration.problems import AdministrationError
from jatevo.application.ports import Clock, OutcomeUnknown, Randomness, StoreError
from jatevo.application.snapshots import SnapshotFailed
from jatevo.domain.catalogue_file import CatalogueError

_NOTHING_DONE = (AdministrationError, CatalogueError, SnapshotFailed)
_log = logging.getLogger(__name__)


class State(StrEnum):
    """How far a change came."""

    UNCLEAR = "unclear"
    """It was tried, and nobody knows what became of it."""
    MADE = "made"
    NOTHING = "nothing"
    """It was refused, or things were already so."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One change. `subject` names what was changed, such as `acct_…`; None: there was nothing before, or is after.

    `asked`: what was asked for, of one that is unclear.
    """

    at_ms: int
    operator: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    state: State = State.MADE
    asked: Mapping[str, Any] | None = None


class AuditStore(Protocol):
    """Where changes are kept. Raises StoreError."""

    async def put(self, change: Change, *, random_bits: int) -> None:
        """Store a change, in the place of itself; `random_bits` tell apart those of one millisecond."""
        ...

    async def changes(self, month: str, limit: int) -> Sequence[Change]:
        """Return the latest changes of a month such as `2026-11`, newest first, without those that were none."""
        ...


class Trail:
    """The line of a change that is being tried."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def made(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, *, subject: str = "") -> None:
        """Take note of what was changed; of what is new, `subject` is the name that it got."""
        state = State.NOTHING if before == after else State.MADE
        subject = subject or self.change.subject
        self.change = replace(self.change, before=before, after=after, subject=subject, state=state, asked=None)

    def nothing(self) -> None:
        """Take note that nothing was changed."""
        self.change = replace(self.change, state=State.NOTHING)


class Audit:
    """Records changes as they are made."""

    def __init__(self, store: AuditStore, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness

    @asynccontextmanager
    async def changing(
        self, operator: str, action: str, subject: str, asked: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Trail]:
        """
        Record a change that is made within, from before it is tried. Raises StoreError: then it was not tried, or, as
        OutcomeUnknown, the trail does not say what became of it; then the log does.
        """
        trail = Trail(Change(self._clock.now_ms(), operator, action, subject, state=State.UNCLEAR, asked=asked or {}))
        random_bits = self._randomness.bits(40)
        await self._store.put(trail.change, random_bits=random_bits)
        try:
            yield trail
        except _NOTHING_DONE:
            if trail.change.state is State.UNCLEAR:
                trail.nothing()
            raise
        finally:
            if trail.change.state is not State.UNCLEAR:
                await self._completed(trail.change, random_bits)

    async def changes(self, month: str, limit: int = 100) -> Sequence[Change]:
        """Return the latest changes of a month, newest first."""
        return await self._store.changes(month, limit)

    async def _completed(self, change: Change, random_bits: int) -> None:
        try:
            await self._store.put(change, random_bits=random_bits)
        except StoreError as error:
            shown = json.dumps({"before": change.before, "after": change.after}, ensure_ascii=False)
            _log.error("%s of %s by %s is not in the trail: %s", change.action, change.subject, change.operator, shown)
            if change.state is State.MADE:
                raise OutcomeUnknown("the change was made; the trail does not say so") from error

"""
The circuit breaker of one pool: a pure state machine, and the evidence that makes it open.

    closed ──enough evidence──▶ open ──cooldown over, one claims──▶ half open ──its probe is answered──▶ closed
                                 ▲                                      │
                                 └──────────its probe fails─────────────┘

`Breaker` is shared between processes: each change makes the next `version`, stored by compare-and-set, so that of many
who want to probe one does. `Evidence` is a process's own. A pool is not judged by one account: what a request's body
may have caused counts once for each account, and opens only when several accounts met it. Times are milliseconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Whether a pool is asked."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Rules:
    """
    When a breaker opens, and for how long.

    `failures` in a row open it, none begun later than `memory_ms` after the one before; with 0 nothing does. The
    cooldown doubles each time a probe fails, up to `longest_ms`, which bounds what an upstream's Retry-After may ask
    for, too. A probe that has not come back for `probe_ms` is given up.
    """

    failures: int = 3
    memory_ms: int = 30_000
    cooldown_ms: int = 5_000
    longest_ms: int = 120_000
    probe_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class Breaker:
    """`until_ms`: of an open one, when it may be probed; of a half-open one, when its probe is given up."""

    state: State = State.CLOSED
    until_ms: int = 0
    trips: int = 0
    """How often in a row it opened."""
    version: int = 0

    def asks(self, now_ms: int) -> State:
        """Return how the pool may be asked now: as ever, by a probe that claims it first, or not at all."""
        if self.state is State.CLOSED:
            return State.CLOSED
        return State.HALF_OPEN if now_ms >= self.until_ms else State.OPEN

    def tripped(self, now_ms: int, rules: Rules, *, at_least_ms: int = 0) -> "Breaker":
        """Return it open: for its cooldown, or as long as the upstream asked for."""
        cooldown_ms = max(rules.cooldown_ms << min(self.trips, 20), at_least_ms)
        until_ms = now_ms + min(cooldown_ms, rules.longest_ms)
        return Breaker(State.OPEN, until_ms, self.trips + 1, self.version + 1)

    def claimed(self, now_ms: int, rules: Rules) -> "Breaker":
        """Return it half open, for one probe."""
        assert self.asks(now_ms) is State.HALF_OPEN, "only a pool whose cooldown is over is probed"
        return Breaker(State.HALF_OPEN, now_ms + rules.probe_ms, self.trips, self.version + 1)

    def recovered(self) -> "Breaker":
        """Return it closed."""
        return Breaker(version=self.version + 1)

    def believed(self, now_ms: int, rules: Rules) -> "Breaker":
        """Return it as read from elsewhere: another's clock may be ahead, and must not keep a pool away for long."""
        return replace(self, until_ms=min(self.until_ms, now_ms + rules.longest_ms))


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A try that failed, after it had `took_ms`. `account`: whose request it was, where the request itself may have been
    the cause.
    """

    at_ms: int
    account: str | None = None
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Failures since the last answer, as one process saw them: no more than it takes to open."""

    failures: tuple[Failure, ...] = ()

    def with_failure(self, failure: Failure, rules: Rules) -> "Evidence":
        """
        Return the evidence with one more failure; alone, when the one before was long over as its try began.

        Counted from there, because a process that serves one request at a time learns of a silent upstream slower than
        any memory would last.
        """
        began_ms = failure.at_ms - failure.took_ms
        in_a_row = bool(self.failures) and began_ms - self.failures[-1].at_ms < rules.memory_ms
        recent = list(self.failures) if in_a_row else []
        if failure.account is not None:
            # One account weighs one less than it takes, however often it fails.
            own = [kept for kept in recent if kept.account == failure.account]
            for spare in own[: max(0, len(own) - (rules.failures - 2))]:
                recent.remove(spare)
        return Evidence((*recent, failure)[-2 * rules.failures :])

    def convicts(self, rules: Rules) -> bool:
        """Return whether it is enough to open: failures that no account's requests alone can have caused."""
        if len(self.failures) < rules.failures:
            return False
        accounts = {failure.account for failure in self.failures}
        return None in accounts or len(accounts) > 1

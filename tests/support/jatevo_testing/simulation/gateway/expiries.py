"""When keys come to be and expire, as they are registered: whom a key must, and may, be refused to."""

import hashlib
from dataclasses import dataclass

from jatevo_testing.simulation.images import Item, number
from jatevo_testing.simulation.processes import KEEP_MS

_STALE_MS = 1000
"""How old a read that does not ask for consistency may be."""


@dataclass(frozen=True)
class _Said:
    """What has been said of a key's end since a moment; None: it has none."""

    since_ms: int
    expires_at_unix_s: int | None

    def over(self, clock_ms: int) -> bool:
        return self.expires_at_unix_s is not None and clock_ms // 1000 >= self.expires_at_unix_s


class Expiries:
    """What is registered of all keys. Times are the true ones, but for `clock_ms`: that of the process asked."""

    def __init__(self) -> None:
        self._said: dict[str, list[_Said]] = {}

    def note(self, key: Item, now_ms: int) -> None:
        """Take note of a key as it is stored from now on."""
        end = number(key, "expires_at") if "expires_at" in key else None
        said = self._said.setdefault(key["digest"]["S"], [])
        if not said or said[-1].expires_at_unix_s != end:
            said.append(_Said(now_ms, end))

    def must_refuse(self, secret: str, asked_ms: int, clock_ms: int) -> bool:
        """Return whether a key has expired, by all that a process may know of it."""
        known = self._known(secret, asked_ms)
        return bool(known) and all(said.over(clock_ms) for said in known)

    def may_refuse(self, secret: str, asked_ms: int, clock_ms: int) -> bool:
        """Return whether a key has expired by something that a process may know. `clock_ms`: when it answers."""
        return any(said.over(clock_ms) for said in self._known(secret, asked_ms))

    def may_be_unknown(self, secret: str, asked_ms: int) -> bool:
        """Return whether a process may have looked for a key before it was there."""
        said = self._said.get(_digest(secret))
        return said is None or said[0].since_ms > asked_ms - KEEP_MS - _STALE_MS

    def _known(self, secret: str, asked_ms: int) -> list[_Said]:
        """Return what a process may know that remembers for some seconds, and reads what is a little old."""
        said = self._said.get(_digest(secret), [])
        old = [one for one in said if one.since_ms <= asked_ms - KEEP_MS - _STALE_MS]
        return [*old[-1:], *said[len(old) :]]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

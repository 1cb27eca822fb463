"""
Signs that a key is in the wrong hands, as one process sees them: told to operators, and no reason to refuse anything.

Nothing is stored and nothing written. From how many addresses a key came is remembered for ten minutes, in this process
alone: where many processes share the requests, each sees its share of the addresses, so only a key that has gone round
is noticed there. Addresses are told to nobody.
"""

from enum import StrEnum

from jatevo.domain.ip_ranges import source_network

_PERIOD_S = 600
_USUAL = 10
"""Addresses of one key in one period: a team at home, a handful of servers."""
_MOST_KEYS = 10_000


class Sign(StrEnum):
    """What speaks for a thief."""

    DISABLED = "disabled"
    """Its owner, or an operator, has stopped it, and somebody goes on using it."""
    FOREIGN_ADDRESS = "foreign_address"
    """It came from outside the addresses that it is bound to."""
    MANY_ADDRESSES = "many_addresses"
    """More people use it than share a key."""


class Addresses:
    """From how many addresses each key has come in the last minutes."""

    def __init__(self) -> None:
        self._since_unix_s = 0
        self._seen: dict[str, set[str]] = {}

    def too_many(self, key_id: str, source_ip: str | None, now_unix_s: int) -> bool:
        """Note where a request with a key comes from. Return whether the key comes from more places than is usual."""
        if now_unix_s - self._since_unix_s >= _PERIOD_S or len(self._seen) >= _MOST_KEYS:
            self._seen.clear()
            self._since_unix_s = now_unix_s
        seen = self._seen.setdefault(key_id, set())
        if len(seen) <= _USUAL:
            seen.add(source_network(source_ip))
        return len(seen) > _USUAL

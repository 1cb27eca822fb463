"""The clock and the randomness of the machine, and secrets it was given through its environment."""

import secrets
import time
from collections.abc import Mapping


class SystemClock:
    """The wall clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class SystemRandomness:
    """The operating system's random source."""

    def bits(self, count: int) -> int:
        return secrets.randbits(count)

    def secret(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class EnvironmentSecrets:
    """Looks up references of the form `env:NAME` in an environment that was handed over."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __call__(self, reference: str) -> str | None:
        kind, _, name = reference.partition(":")
        return self._environment.get(name) if kind == "env" else None

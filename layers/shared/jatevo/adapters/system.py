"""The clock and the randomness of the machine."""

import secrets
import time


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

"""Clocks and ids that tests own."""

import random
import threading
import time


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms

    def advance(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


class AheadClock:
    """The real clock, set ahead as far as a test wants: for what waits in real time but need not be waited for."""

    def __init__(self) -> None:
        self._ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def advance(self, seconds: float) -> None:
        self._ahead_ms += round(seconds * 1000)


class SeededRandomness:
    """Random bits that a seed repeats."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def bits(self, count: int) -> int:
        with self._lock:
            return self._random.getrandbits(count)

    def secret(self, count: int) -> bytes:
        with self._lock:
            return self._random.randbytes(count)

"""Clocks and ids that tests own."""

import random
import threading


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms

    def advance(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


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

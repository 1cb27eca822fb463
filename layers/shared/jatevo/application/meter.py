"""
The port to which metrics are told. What becomes of them, and where, is an adapter's matter.
"""

from typing import Protocol

from jatevo.domain.metrics import Metric


class Meter(Protocol):
    """Takes measurements. Neither method raises, and `add` may be called from any thread."""

    def add(self, metric: Metric, value: int = 1, label: str = "") -> None:
        """Take one value. `label`: of what the metric is broken down by."""
        ...

    def flush(self) -> None:
        """Pass on what has been taken so far: called before a process may be frozen."""
        ...


class NoMeter:
    """Takes nothing."""

    def add(self, metric: Metric, value: int = 1, label: str = "") -> None:
        pass

    def flush(self) -> None:
        pass

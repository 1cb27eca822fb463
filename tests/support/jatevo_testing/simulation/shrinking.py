"""
Shrinking: a history that fails, made short enough to be read.

A history is its choices, step by step. Steps are taken out, larger pieces first, and choices made plainer, as long as
it still fails in the same place. The idea is Zeller's delta debugging (*Simplifying and Isolating Failure-Inducing
Input*, 2002) on choices, as Hypothesis does it.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from jatevo_testing.simulation.chance import Script

type Fails = Callable[[Script], "Failure | None"]


@dataclass(frozen=True)
class Failure:
    """How a history failed: where, and with what words."""

    where: str
    what: str


def failure_of(error: Exception) -> Failure:
    """Return what tells a failure from others."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Failure(f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}", str(error))


class Shrinking:
    """One script on its way to a shorter one. `go_on`: asked before each try whether there is time."""

    def __init__(self, script: Script, fails: Fails, failure: Failure, go_on: Callable[[], bool]) -> None:
        self.script = script
        self.tries = 0
        self._fails = fails
        self._failure = failure
        self._go_on = go_on

    def shortest(self) -> Script:
        """Return the shortest script found. The first group, from which everything is set up, stays as it is."""
        before = None
        while before != self.script and self._go_on():
            before = self.script
            self._take_out()
            self._make_plainer()
        return self.script

    def _take_out(self) -> None:
        size = max(1, (len(self.script) - 1) // 2)
        while True:
            at = 1
            while at < len(self.script):
                if not self._kept(self.script[:at] + self.script[at + size :]):
                    at += size
            if size == 1:
                return
            size = max(1, size // 2)

    def _make_plainer(self) -> None:
        for at in range(1, len(self.script)):
            if any(self.script[at]):
                self._kept([*self.script[:at], [], *self.script[at + 1 :]])

    def _kept(self, script: Script) -> bool:
        """Keep a script if it fails as the first one did."""
        if not self._go_on():
            return False
        self.tries += 1
        failure = self._fails(script)
        if failure is None or failure.where != self._failure.where:
            return False
        self.script = script
        return True

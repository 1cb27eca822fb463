"""
The chance of a simulation: every choice that is made, from one seed, recorded so that it can be made again.

Choices are whole numbers, and 0 is always the plainest: no fault, the first of all options. They are kept in groups,
one for each step, so that a history from which a step is taken out goes on much as it did. That is what makes it
possible to shorten one (`shrinking`).
"""

import random
from collections.abc import Sequence

type Script = list[list[int]]

_FINE = 10**6


class Chance:
    """A source of choices: of a seed, or of a script, at whose end only the plainest choices are left."""

    def __init__(self, seed: int, script: Script | None = None) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._script = script
        self._given: Sequence[int] = () if script is None or not script else script[0]
        self._at = 0
        self.made: Script = [[]]
        """What was chosen so far, step by step."""

    @property
    def exhausted(self) -> bool:
        """Whether a script has come to its end."""
        return self._script is not None and len(self.made) > len(self._script)

    def next_step(self) -> None:
        """What follows belongs to another step."""
        self.made.append([])
        if self._script is not None:
            step = len(self.made) - 1
            self._given = self._script[step] if step < len(self._script) else ()
            self._at = 0

    def below(self, most: int) -> int:
        """Return a number from 0 up to, and not, `most`."""
        if self._script is None:
            drawn = self._random.randrange(most)
        else:
            drawn = self._given[self._at] % most if self._at < len(self._given) else 0
            self._at += 1
        self.made[-1].append(drawn)
        return drawn

    def choice[T](self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def weighed[T](self, options: Sequence[tuple[T, float]]) -> T:
        """Return one of the options, each as likely as its weight says."""
        scaled = [int(weight * 1000) for _, weight in options]
        drawn = self.below(sum(scaled))
        for (option, _), weight in zip(options, scaled, strict=True):
            drawn -= weight
            if drawn < 0:
                return option
        raise AssertionError("what is drawn is below the sum of all weights")

    def happens(self, probability: float) -> bool:
        """Return whether something happens that does so with this probability. What is plainest: it does not."""
        return probability > 0 and self.below(_FINE) >= _FINE - probability * _FINE

    def within(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def bits(self, count: int) -> int:
        return self.below(1 << count)

    def data(self, length: int) -> bytes:
        """Return so many random bytes."""
        return self.bits(8 * length).to_bytes(length)

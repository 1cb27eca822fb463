"""
What a change leaves as it is, a value of its own because None means "no limit" or "the default"; and what it did.
"""

from dataclasses import dataclass
from enum import Enum


class Kept(Enum):
    """The type of `KEPT`."""

    KEPT = "kept"


KEPT = Kept.KEPT


@dataclass(frozen=True, slots=True)
class Changed[T]:
    """What was changed, exactly as it was right before and is right after."""

    before: T
    after: T


def chosen[T](new: T | Kept, old: T) -> T:
    """Return the new value, or the old one where it is to be kept."""
    return old if isinstance(new, Kept) else new

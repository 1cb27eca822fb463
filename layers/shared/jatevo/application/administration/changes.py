"""
What a change leaves as it is: a value of its own, since None already means "no limit" or "the default".
"""

from enum import Enum


class Kept(Enum):
    """The type of `KEPT`."""

    KEPT = "kept"


KEPT = Kept.KEPT


def chosen[T](new: T | Kept, old: T) -> T:
    """Return the new value, or the old one where it is to be kept."""
    return old if isinstance(new, Kept) else new

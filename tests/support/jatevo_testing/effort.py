"""
How much the random tests try. `JATEVO_TEST_EFFORT=20` makes them try twenty times as much; by default they are quick.

The tests are repeatable at any effort: examples and seeds are counted off, not drawn.
"""

import os

from hypothesis import settings

EFFORT = int(os.environ.get("JATEVO_TEST_EFFORT", "1"))


def seeds(count: int) -> range:
    """Return the seeds of a test that tries `count` of them by default."""
    return range(count * EFFORT)


def load_hypothesis_profile() -> None:
    """Make hypothesis repeatable, and independent of how fast the machine is."""
    settings.register_profile(
        "jatevo", derandomize=True, deadline=None, print_blob=True, database=None, max_examples=100 * EFFORT
    )
    settings.load_profile("jatevo")

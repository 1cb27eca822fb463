"""
Days that end under a test. Limits are those of a UTC day, and most tests count on one day from their first request to
their last look at the books: so none begins when the day is about to end.
"""

DAY_S = 86_400
TEST_S = 90
"""Longer than a test takes."""
FILE_S = 300
"""Longer than a file's tests take, some of which share what the first of them made; and than a slow test takes."""


def wait_before_s(now_unix_s: float, takes_s: float) -> float:
    """Return how long to wait so that what takes `takes_s` lies within one UTC day: 0 nearly always."""
    left_s = DAY_S - now_unix_s % DAY_S
    return 0.0 if left_s > takes_s else left_s + 0.1

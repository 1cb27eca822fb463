"""No test begins when the UTC day would end under it."""

import pytest
from jatevo_testing.days import DAY_S, wait_before_s

MIDNIGHT = 20_000 * DAY_S


@pytest.mark.parametrize("now", [MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 43_200, MIDNIGHT - 91])
def test_within_a_day_nothing_waits(now: int) -> None:
    assert wait_before_s(now, 90) == 0


@pytest.mark.parametrize("left", [90, 45.5, 0.01])
def test_just_before_midnight_the_next_day_is_waited_for(left: float) -> None:
    now = MIDNIGHT - left

    assert now + wait_before_s(now, 90) > MIDNIGHT
    assert wait_before_s(now, 90) < 91

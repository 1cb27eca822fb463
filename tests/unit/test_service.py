"""When the service stops, and when it goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.calendar import DAY_S
from jatevo.domain.service import CEILING, Pause, Service, percent_of

NOW = 20_000 * DAY_S + 3_600
MIDNIGHT = 20_001 * DAY_S


def test_the_ceiling_stops_it_until_midnight_and_no_longer() -> None:
    reached = Service().judged(100, 100, NOW)
    pause = reached.pause_at(NOW)
    assert pause is not None
    assert (pause.by, pause.until_unix_s) == (CEILING, MIDNIGHT)
    assert reached.judged(150, 100, NOW + 60) == reached, "it is stopped once"
    assert reached.pause_at(MIDNIGHT - 1) == pause
    assert reached.pause_at(MIDNIGHT) is None


def test_it_goes_on_once_the_ceiling_is_above_what_was_spent() -> None:
    reached = Service().judged(100, 100, NOW)
    raised = Service(reached.pause, ceiling_nano_usd=101)
    assert raised.judged(100, 100, NOW).pause is None
    assert Service(reached.pause, ceiling_nano_usd=0).judged(100, 100, NOW).pause is None, "0 is no ceiling"


@given(spent=st.integers(0, 10**12), ceiling=st.integers(0, 10**12), later=st.integers(0, 10 * DAY_S))
def test_what_an_operator_stopped_only_an_operator_resumes(spent: int, ceiling: int, later: int) -> None:
    stopped = Service(Pause("ada", "a reason", NOW))
    assert stopped.judged(spent, ceiling, NOW + later) == stopped
    assert stopped.pause_at(NOW + later) is not None


@given(spent=st.integers(0, 10**12), ceiling=st.integers(1, 10**12))
def test_a_hundred_percent_is_reached_exactly_when_it_stops(spent: int, ceiling: int) -> None:
    stops = Service().judged(spent, ceiling, NOW).pause is not None
    assert stops == (percent_of(spent, ceiling) >= 100)


@pytest.mark.parametrize("spent", [0, 10**15])
def test_without_a_ceiling_nothing_stops_it(spent: int) -> None:
    assert Service().judged(spent, 0, NOW) == Service()

"""A simulated day ends as a real one would."""

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.simulated_day import simulated_day
from jatevo.domain.windows import Bound, Hold, Limits, Refused, WindowKey, opened, reserve, settle

SMALL = st.integers(0, 40)


def one_by_one(limits: Limits, charge: int, sent: int) -> tuple[int, int, Bound | None]:
    """The same day through the window's transitions."""
    window = opened(WindowKey("acct", "day"), limits, 1)
    for number in range(sent):
        taken = reserve(window, str(number), Hold(charge, 0, "key"))
        if isinstance(taken, Refused):
            return number, window.settled_nano_usd, taken.bound
        settled = settle(taken, str(number), charge_nano_usd=charge, give_request_back=False)
        assert settled is not None
        window = settled
    return sent, window.settled_nano_usd, None


@given(requests=SMALL, budget=st.integers(0, 300), charge=SMALL, sent=SMALL)
def test_it_is_the_day_that_the_windows_make(requests: int, budget: int, charge: int, sent: int) -> None:
    limits = Limits(requests=requests, budget_nano_usd=budget, concurrency=1)
    day = simulated_day(limits, charge, sent)

    assert (day.served, day.spent_nano_usd, day.bound) == one_by_one(limits, charge, sent)

"""Refusals are remembered for a second at most, and only to say what the store said."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from jatevo.application.refusal_memory import RefusalMemory
from jatevo.domain.windows import Hold, Limits, Refused, Window, WindowKey, bound_against, opened

KEY = WindowKey("acct_a", "2026-11-23")
EMPTY = opened(KEY, Limits(5, 10, 2), 1)
TOO_MUCH = Hold(11, 1, "key")
FITS = Hold(10, 1, "key")
WRITTEN = 8
"""So many refusals are asked of the store before one is answered from memory."""


def refused_by(window: Window, hold: Hold = TOO_MUCH) -> Refused:
    bound = bound_against(window, hold)
    assert bound is not None
    return Refused(bound, window)


def after(refusals: int, *, at_ms: int = 0) -> RefusalMemory:
    memory = RefusalMemory()
    for _ in range(refusals):
        memory.note(refused_by(EMPTY), at_ms)
    return memory


def test_only_a_burst_is_answered_from_memory() -> None:
    assert after(WRITTEN - 1).recall(KEY, TOO_MUCH, 0) is None
    assert after(WRITTEN).recall(KEY, TOO_MUCH, 0) == refused_by(EMPTY)


def test_what_the_window_would_take_always_goes_to_the_store() -> None:
    assert after(WRITTEN).recall(KEY, FITS, 0) is None


@given(st.integers(0, 10), st.integers(0, 6), st.integers(0, 3), st.integers(0, 30))
def test_memory_says_exactly_what_the_rules_say_of_the_window_last_seen(
    left: int, requests: int, slots: int, amount: int
) -> None:
    memory = after(WRITTEN)
    latest = replace(EMPTY, budget_left_nano_usd=left, requests_left=requests, limits=Limits(6, 10, slots))
    memory.note(refused_by(latest), 1)
    hold = Hold(amount, 1, "key")
    bound = bound_against(latest, hold)
    assert memory.recall(KEY, hold, 2) == (None if bound is None else Refused(bound, latest))


@given(st.integers(0, 3000))
def test_a_burst_is_forgotten_a_second_after_it_began(later_ms: int) -> None:
    memory = after(WRITTEN)
    memory.note(refused_by(EMPTY), 999)
    assert (memory.recall(KEY, TOO_MUCH, later_ms) is not None) == (later_ms < 1000)


def test_another_window_is_not_judged_by_it() -> None:
    assert after(WRITTEN).recall(WindowKey("acct_b", KEY.period), TOO_MUCH, 0) is None


def test_something_given_back_ends_it() -> None:
    memory = after(WRITTEN)
    memory.forget(KEY)
    assert memory.recall(KEY, TOO_MUCH, 0) is None

"""A window is what its entries make it: each counter recomputed, each difference named, each correction right."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.accounts import account_window, key_window
from jatevo.domain.binding import minute_window, prepaid_window
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason
from jatevo.domain.reconciliation import Counter, Due, corrected, differences, due_in, dues
from jatevo.domain.windows import Hold, Limits, Window, opened, reserve, settle, unbalanced_nano_usd

DAY = "2026-11-23"
KEY = account_window("acct_a", DAY)
OF_KEY = key_window("acct_a", "key_k", DAY)
LIMITS = Limits(1000, 10**9, 1000)


def entry(number: int, charge: int, *, released: bool = False, exposure: int = 0, resale: int = 0) -> LedgerEntry:
    return LedgerEntry(
        account_id="acct_a",
        day=DAY,
        reservation_id=f"r{number}",
        outcome=Outcome.RELEASED if released else Outcome.CHARGED,
        reason=Reason.UPSTREAM_REFUSED if released else Reason.ANSWERED,
        reserved_nano_usd=100,
        windows=(OF_KEY, KEY),
        key_id="key_k",
        figures=Figures()
        if released
        else Figures(
            cost_nano_usd=charge,
            charge_nano_usd=charge,
            exposure_nano_usd=exposure,
            reseller_margin_nano_usd=resale,
        ),
    )


entries = st.lists(
    st.builds(
        lambda charge, released, exposure: (charge, released, exposure),
        st.integers(0, 100),
        st.booleans(),
        st.integers(0, 100),
    ),
    max_size=20,
)


def window_after(decided: list[LedgerEntry], still_open: int) -> Window:
    """Return the account's window after these requests; the last `still_open` of them not applied yet."""
    window = opened(KEY, LIMITS, 1)
    for one in decided:
        taken = reserve(window, one.reservation_id, Hold(100, 0, "k"))
        assert isinstance(taken, Window)
        window = taken
    for one in decided[: len(decided) - still_open]:
        after = settle(
            window,
            one.reservation_id,
            charge_nano_usd=one.charged_in(KEY),
            give_request_back=one.gives_request_back,
            exposed_nano_usd=one.exposed_in(KEY),
        )
        assert after is not None
        window = after
    return window


def due_of(decided: list[LedgerEntry], window: Window) -> Due:
    due = dues(decided).get(KEY, Due())
    for one in decided:
        if one.reservation_id in window.open:
            due -= due_in(one, KEY)
    return due


@given(entries, st.integers(0, 20))
def test_a_window_that_followed_the_protocol_agrees_with_its_entries(
    what: list[tuple[int, bool, int]], unapplied: int
) -> None:
    decided = [entry(n, charge, released=gone, exposure=more) for n, (charge, gone, more) in enumerate(what)]
    window = window_after(decided, min(unapplied, len(decided)))
    due = due_of(decided, window)
    assert differences(KEY, window, due) == []
    assert corrected(window, due) == window


@given(
    entries,
    st.sampled_from(["settled_nano_usd", "exposed_nano_usd", "requests_left", "budget_left_nano_usd"]),
    st.integers(-50, 50).filter(bool),
)
def test_whatever_counter_moves_is_found_and_corrected(
    what: list[tuple[int, bool, int]], counter: str, by: int
) -> None:
    decided = [entry(n, charge, released=gone, exposure=more) for n, (charge, gone, more) in enumerate(what)]
    window = window_after(decided, 0)
    due = due_of(decided, window)
    wrong = replace(window, **{counter: getattr(window, counter) + by})
    found = differences(KEY, wrong, due)
    assert found
    assert all(difference.found - difference.expected in {by, -by} for difference in found)
    assert corrected(wrong, due) == window
    assert unbalanced_nano_usd(corrected(wrong, due)) == 0


def test_a_key_that_is_resold_is_due_its_users_price() -> None:
    resold = entry(1, 40, resale=8)
    assert due_in(resold, OF_KEY) == Due(1, 48, 0)
    assert due_in(resold, KEY) == Due(1, 40, 0)
    assert due_in(resold, account_window("acct_b", DAY)) == Due()


def test_minutes_are_not_audited_and_a_balance_counts_no_requests() -> None:
    balance = prepaid_window("acct_a")
    paid = replace(entry(1, 40), windows=(minute_window("acct_a", f"{DAY}T10:00"), balance, KEY), money_in=(balance,))
    assert dues([paid]) == {balance: Due(0, 40, 0), KEY: Due(1, 0, 0)}


@pytest.mark.parametrize(
    ("due", "found"),
    [(Due(), []), (Due(2, 30, 0), [(Counter.MISSING, 30, 0)]), (Due(1, 0, 0), [(Counter.MISSING, 0, 0)])],
)
def test_a_window_that_is_gone_is_missed_when_something_was_asked(
    due: Due, found: list[tuple[Counter, int, int]]
) -> None:
    assert [(one.counter, one.expected, one.found) for one in differences(KEY, None, due)] == found


def test_a_balance_is_what_was_granted() -> None:
    balance = opened(prepaid_window("acct_a"), Limits(budget_nano_usd=50), 1)
    assert differences(balance.key, balance, Due(), 50) == []
    [wrong] = differences(balance.key, balance, Due(), 70)
    assert (wrong.counter, wrong.expected, wrong.found) == (Counter.GRANTED, 70, 50)
    right = corrected(balance, Due(), 70)
    assert (right.limits.budget_nano_usd, right.budget_left_nano_usd) == (70, 70)

"""The oracle as a state machine: what moves the price, what does not, and that nothing is for good."""

import itertools

import pytest
from jatevo_testing.oracles import MINUTE, P, Timeline

from jatevo.domain.market import MarketState, Reason
from jatevo.domain.oracle import Basis
from jatevo.domain.price_rules import PriceRules, rules_from_text

HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.fixture
def line() -> Timeline:
    """A market at 100 since a day, so that average and caps have settled."""
    made = Timeline()
    made.runs(DAY + HOUR, P, P, P)
    assert (made.quote().price_pico_usd, made.quote().state) == (P, MarketState.OK)
    return made


def test_a_first_price_must_last_before_it_counts() -> None:
    line = Timeline()
    assert (line.quote().price_pico_usd, line.quote().state) == (None, MarketState.STALE)
    for _ in range(6):
        assert line.run(P, P, P) is Reason.AWAITING_FIRST
        assert line.quote().price_pico_usd is None
        line.wait(5 * MINUTE)
    assert line.run(P, P + P // 10, P) is Reason.SUSTAINED
    assert line.quote().price_pico_usd == P


def test_a_first_price_that_does_not_hold_still_is_none() -> None:
    line = Timeline()
    for price in [P, 2 * P] * 10:
        assert line.run(price, price, price) is Reason.AWAITING_FIRST
        line.wait(5 * MINUTE)


@pytest.mark.parametrize("to", [P * 84 // 100, P * 99 // 100, P * 101 // 100, P * 119 // 100])
def test_the_price_moves_with_sources_that_agree(line: Timeline, to: int) -> None:
    assert line.run(to, to, to) is Reason.MOVED
    assert line.oracle.market.price_pico_usd == to


@pytest.mark.parametrize("lie", [1_000, P // 2, P * 96 // 100, P * 104 // 100, 2 * P, 10**17])
def test_one_liar_among_three_moves_nothing(line: Timeline, lie: int) -> None:
    for _ in range(100):
        assert line.run(P, lie, P) is Reason.CONFIRMED
        line.wait(5 * MINUTE)
    assert line.quote().price_pico_usd == P


@pytest.mark.parametrize("lie", [1_000, P // 2, P * 96 // 100, P * 104 // 100, 2 * P, 10**17])
def test_nor_while_one_of_the_honest_two_is_silent(line: Timeline, lie: int) -> None:
    for _ in range(20):
        line.run(P, lie, None)
        assert line.oracle.market.price_pico_usd == P
        line.wait(5 * MINUTE)
    assert line.quote().price_pico_usd in {P, None}


@pytest.mark.parametrize("heard", [(None, None, None), (P, None, None), (9 * P, None, None), (P, 2 * P, 3 * P)])
def test_silence_and_disagreement_move_nothing_and_age_the_price(line: Timeline, heard: tuple[int | None, ...]) -> None:
    seen = []
    for _ in range(80):
        line.wait(5 * MINUTE)
        reason = line.run(*heard)
        assert reason in {Reason.KEPT_SILENCE, Reason.KEPT_DISAGREEMENT}
        assert line.oracle.market.price_pico_usd == P
        seen.append(line.quote().state)
        assert line.quote().price_pico_usd == (None if seen[-1] is MarketState.STALE else P)
    assert seen == [MarketState.FROZEN] * 12 + [MarketState.DEGRADED] * 60 + [MarketState.STALE] * 8


def test_time_alone_ages_the_price_when_no_run_comes(line: Timeline) -> None:
    at = {
        11 * MINUTE: "ok",
        11 * MINUTE + 1: "frozen",
        HOUR + 1: "degraded",
        6 * HOUR: "degraded",
        6 * HOUR + 1: "stale",
    }
    for later, state in at.items():
        assert line.quote(later).state == state


@pytest.mark.parametrize("kept_s", [10 * MINUTE, 30 * MINUTE, 2 * HOUR, 30 * HOUR])
def test_whatever_the_state_agreement_near_the_last_price_ends_it(line: Timeline, kept_s: int) -> None:
    line.runs(kept_s, None, None, None)
    assert line.run(P * 11 // 10, P * 11 // 10, None) is Reason.MOVED
    assert line.quote().state is MarketState.OK


@pytest.mark.parametrize("to", [P // 10, P * 83 // 100, P * 121 // 100, 10 * P])
def test_a_jump_is_believed_once_it_has_lasted(line: Timeline, to: int) -> None:
    for _ in range(6):
        assert line.run(to, to, to) is Reason.KEPT_JUMP
        assert line.quote().state is MarketState.FROZEN
        line.wait(5 * MINUTE)
    assert line.run(to, to, to) is Reason.SUSTAINED
    assert line.oracle.market.price_pico_usd == to
    assert line.quote().state is MarketState.OK


def test_of_a_jump_the_mildest_is_believed(line: Timeline) -> None:
    for rise in (30, 25, 60, 70, 50, 40, 40):
        line.run(*[P * (100 + rise) // 100] * 3)
        line.wait(5 * MINUTE)
    assert line.oracle.market.price_pico_usd == P * 125 // 100


def test_a_pump_of_ten_minutes_is_never_believed(line: Timeline) -> None:
    for _ in range(10):
        assert [line.after(5 * MINUTE, 9 * P, 9 * P, 9 * P) for _ in range(3)] == [Reason.KEPT_JUMP] * 3
        assert line.after(5 * MINUTE, P, P, P) is Reason.CONFIRMED
    assert line.quote().price_pico_usd == P


def test_outages_between_do_not_make_a_pump_last(line: Timeline) -> None:
    for _ in range(50):
        assert line.after(12 * MINUTE, 9 * P, 9 * P, 9 * P) is Reason.KEPT_JUMP
    assert line.quote().state is MarketState.STALE


def test_nor_do_they_undo_what_has_lasted(line: Timeline) -> None:
    for _ in range(6):
        line.after(5 * MINUTE, 2 * P, 2 * P, 2 * P)
        line.runs(30 * MINUTE, None, None, None)
        line.after(5 * MINUTE, 2 * P, 2 * P, 2 * P)
    line.runs(35 * MINUTE, 2 * P, 2 * P, 2 * P)
    assert line.oracle.market.price_pico_usd == 2 * P


def test_a_jump_that_turns_round_begins_anew(line: Timeline) -> None:
    line.runs(25 * MINUTE, 2 * P, 2 * P, 2 * P)
    line.runs(25 * MINUTE, P // 2, P // 2, P // 2)
    assert line.oracle.market.price_pico_usd == P


def test_small_steps_up_meet_the_average_and_the_days_cap(line: Timeline) -> None:
    price = P
    for _ in range(12):
        price = price * 119 // 100
        assert line.after(5 * MINUTE, price, price, price) is Reason.MOVED
    assert price > 8 * P
    assert P <= (line.quote().price_pico_usd or 0) < P * 115 // 100
    assert line.quote().held_back
    line.runs(20 * HOUR, price, price, price)
    assert line.quote().price_pico_usd == line.quote().ceiling_pico_usd


def test_a_fall_counts_at_once(line: Timeline) -> None:
    line.after(5 * MINUTE, P * 85 // 100, P * 85 // 100, P * 85 // 100)
    assert line.quote().price_pico_usd == P * 85 // 100
    assert not line.quote().held_back


def test_a_dip_is_forgotten_with_it(line: Timeline) -> None:
    """Else somebody could lower everybody's budgets for a week with one cheap dip."""
    line.after(5 * MINUTE, P * 84 // 100, P * 84 // 100, P * 84 // 100)
    line.runs(10 * MINUTE, P, P, P)
    assert line.quote().price_pico_usd * 1000 > P * 998  # type: ignore[operator]


def test_an_outage_does_not_reset_the_average(line: Timeline) -> None:
    line.wait(5 * DAY)
    line.runs(35 * MINUTE, 9 * P, 9 * P, 9 * P)
    quote = line.quote()
    assert quote.in_force_pico_usd == 9 * P
    assert quote.average_pico_usd is not None
    assert quote.average_pico_usd < P * 110 // 100
    assert quote.price_pico_usd == quote.average_pico_usd


def test_days_without_a_price_do_not_add_up_to_a_rise(line: Timeline) -> None:
    line.runs(35 * MINUTE, 9 * P, 9 * P, 9 * P)
    line.runs(9 * DAY, None, None, None, every=HOUR)
    line.run(9 * P, 9 * P, 9 * P)
    quote = line.quote()
    assert quote.in_force_pico_usd == quote.average_pico_usd == 9 * P
    assert quote.price_pico_usd == quote.ceiling_pico_usd
    assert quote.ceiling_pico_usd is not None
    assert quote.ceiling_pico_usd <= P * 125 // 100 * 125 // 100


def test_a_day_that_only_carried_a_price_counts_as_a_day(line: Timeline) -> None:
    """Found by chance: a high in the morning of the day before must not lift the cap of the day after."""
    line.set_rate(P // 2, for_s=9 * DAY)
    line.wait(2 * DAY)
    line.set_rate(9 * P, for_s=9 * DAY)
    assert line.quote().ceiling_pico_usd == P // 2 * 125 // 100


def test_a_price_that_truly_rose_is_followed_day_by_day(line: Timeline) -> None:
    line.runs(12 * DAY, 9 * P, 9 * P, 9 * P)
    assert line.quote().price_pico_usd == 9 * P


def test_a_rate_overrides_the_sources_and_ends_by_itself(line: Timeline) -> None:
    line.set_rate(P // 2, for_s=2 * HOUR)
    assert line.quote().price_pico_usd == P // 2
    assert line.quote().basis is Basis.RATE
    line.runs(HOUR, P, P, P)
    assert line.quote().price_pico_usd == P // 2
    line.runs(HOUR + 5 * MINUTE, P, P, P)
    assert line.quote().basis is Basis.MARKET
    assert P * 9 // 10 < line.quote().price_pico_usd < P  # type: ignore[operator]
    line.runs(26 * HOUR, P, P, P)
    assert line.quote().price_pico_usd == P


def test_a_rate_does_not_override_the_caps(line: Timeline) -> None:
    line.set_rate(1000 * P, for_s=10 * DAY)
    assert line.quote().price_pico_usd == P
    days: dict[int, int] = {}
    for _ in range(10 * 24):
        line.after(HOUR, P, P, P)
        days[line.day] = max(days.get(line.day, 0), line.quote().price_pico_usd or 0)
    highs = [days[day] for day in sorted(days)]
    assert all(later <= earlier * 125 // 100 for earlier, later in itertools.pairwise(highs))


def test_a_rate_that_expires_between_runs_leaves_the_lower_price() -> None:
    line = Timeline()
    line.set_rate(2 * P, for_s=10 * MINUTE)
    line.runs(35 * MINUTE, P, P, P)
    line.set_rate(3 * P, for_s=7 * MINUTE)
    line.run(P, P, P)
    high = line.quote().price_pico_usd
    assert high is not None
    assert high > P
    line.wait(8 * MINUTE)
    assert line.quote().price_pico_usd == P


def test_a_rate_is_enough_where_no_source_is() -> None:
    line = Timeline()
    line.set_rate(P, for_s=DAY)
    assert (line.quote().price_pico_usd, line.quote().state) == (P, MarketState.OK)
    line.wait(DAY)
    assert (line.quote().price_pico_usd, line.quote().state) == (None, MarketState.STALE)
    line.set_rate(100 * P, for_s=DAY)
    assert line.quote().price_pico_usd == P


def test_a_quote_never_rises_between_decisions(line: Timeline) -> None:
    line.after(5 * MINUTE, P * 119 // 100, P * 119 // 100, P * 119 // 100)
    price = line.quote().price_pico_usd
    assert price is not None
    for later in range(0, 3 * DAY, HOUR):
        assert (line.quote(later).price_pico_usd or 0) <= price


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quorum=0", "quorum must be from 1 to 100"),
        ("rise_bps=1", "rise_bps must be"),
        ("risebps=100", "there is no bound 'risebps'"),
        ("quorum=two", "is not quorum and one whole number"),
        ("quorum=2,quorum=3", "is not quorum and one whole number"),
        ("stale_after_s=60", "degraded_after_s must not be more"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rules_from_text(text)


def test_rules_are_the_defaults_but_for_what_is_named() -> None:
    assert rules_from_text(" quorum=3, rise_bps=1000,") == PriceRules(quorum=3, rise_bps=1000)
    assert rules_from_text("") == PriceRules()

"""Nobody pays above a reservation, whatever an upstream says, and the books always add up."""

from hypothesis import given
from hypothesis import strategies as st
from jatevo_testing.strategies import claimed_usages, margins_bps, prices, sizes, whole_usages

from jatevo.domain import settlement
from jatevo.domain.ledger import Figures, Outcome, Reason
from jatevo.domain.money import charge_nano_usd, cost_nano_usd
from jatevo.domain.projection import InputSize
from jatevo.domain.settlement import Terms
from jatevo.domain.tokens import TokenUsage, UsageSource, trusted

AMOUNTS = st.integers(0, 10**12)
TERMS = st.builds(Terms, price=prices, margin_bps=margins_bps, reserved_nano_usd=AMOUNTS)


@given(TERMS, claimed_usages)
def test_a_charge_lies_between_nothing_and_the_reservation(terms: Terms, claimed: TokenUsage) -> None:
    usage = trusted(claimed)
    if usage is None:
        return
    verdict = settlement.charged_for_usage(terms, Reason.ANSWERED, usage, UsageSource.REPORTED)
    assert 0 <= verdict.figures.charge_nano_usd <= terms.reserved_nano_usd


@given(TERMS, whole_usages())
def test_cost_and_margin_are_the_charge_and_the_rest_is_overrun(terms: Terms, usage: TokenUsage) -> None:
    figures = settlement.charged_for_usage(terms, Reason.ANSWERED, usage, UsageSource.REPORTED).figures
    exact = terms.price.cost_femto_usd(usage)
    due = charge_nano_usd(exact, terms.margin_bps)
    assert figures.cost_nano_usd == cost_nano_usd(exact)
    assert figures.cost_nano_usd + figures.margin_nano_usd == figures.charge_nano_usd
    assert figures.charge_nano_usd + figures.overrun_nano_usd == due
    assert figures.overrun_nano_usd == max(0, due - terms.reserved_nano_usd)
    assert figures.margin_nano_usd >= 0 or figures.overrun_nano_usd > 0


@given(TERMS, whole_usages(), st.integers(-(10**12), 10**12))
def test_an_unanswered_request_is_exposure_within_the_cap_and_its_estimate_above_it(
    terms: Terms, estimate: TokenUsage, left: int
) -> None:
    verdict = settlement.unanswered(terms, Reason.NO_ANSWER, estimate, exposure_left_nano_usd=left)
    if terms.reserved_nano_usd <= left:
        assert verdict.figures == Figures(exposure_nano_usd=terms.reserved_nano_usd)
    else:
        assert verdict == settlement.charged_for_usage(terms, Reason.NO_ANSWER, estimate, UsageSource.ESTIMATED)


@given(AMOUNTS, st.integers(-(10**12), 10**12))
def test_an_abandoned_request_is_exposure_within_the_cap_and_charged_above_it(reserved: int, left: int) -> None:
    verdict = settlement.abandoned(reserved, exposure_left_nano_usd=left)
    assert verdict.outcome is Outcome.EXPIRED
    free = Figures(exposure_nano_usd=reserved)
    held = Figures(cost_nano_usd=reserved, charge_nano_usd=reserved)
    assert verdict.figures == (free if reserved <= left else held)


def test_a_clients_own_error_and_a_release_move_no_money() -> None:
    assert settlement.counted_free(Reason.CLIENT_ERROR).figures == Figures()
    assert settlement.counted_free(Reason.CLIENT_ERROR).outcome is Outcome.CHARGED
    assert settlement.released(Reason.UPSTREAM_REFUSED).figures == Figures()
    assert settlement.released(Reason.UPSTREAM_REFUSED).outcome is Outcome.RELEASED


@given(sizes, st.integers(0, 10**6), st.integers(0, 5000))
def test_an_answer_without_usage_is_never_free_nor_its_input_more_than_was_projected(
    size: InputSize, produced_bytes: int, most: int
) -> None:
    usage = settlement.estimated_usage(size, produced_bytes, most_input_tokens=most)
    assert trusted(usage) == usage
    assert usage.output_tokens > 0 or produced_bytes == 0
    assert usage.input_tokens <= max(1, most)
    assert usage == settlement.estimated_usage(size, produced_bytes, most_input_tokens=most)


@given(st.integers(0, 10**6), st.integers(0, 10**9), st.integers(1000, 4000))
def test_an_overrun_raises_the_estimate_enough_to_cover_it_within_bounds(
    projected: int, reported: int, applied: int
) -> None:
    permille = settlement.observed_estimate_permille(projected, reported, applied)
    assert 0 <= permille <= 4000
    if permille < 4000:
        assert projected * permille >= reported * applied or projected == 0

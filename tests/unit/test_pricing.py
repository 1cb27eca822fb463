"""What an answer costs is the exact sum of its tokens at their rates, in the band its input falls in."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st
from jatevo_testing.strategies import prices, rates, whole_usages

from jatevo.domain.pricing import LongContext, Price, Rates
from jatevo.domain.tokens import TokenUsage

USAGE = TokenUsage(
    input_tokens=100,
    output_tokens=50,
    cache_read_input_tokens=20,
    cache_creation_input_tokens=10,
    image_input_tokens=5,
    audio_input_tokens=4,
    reasoning_output_tokens=30,
    image_output_tokens=3,
    audio_output_tokens=2,
)
RATES = Rates(
    input=1_000,
    output=2_000,
    cache_read=100,
    cache_creation=1_250,
    reasoning=3_000,
    image_input=7_000,
    audio_input=11_000,
    image_output=13_000,
    audio_output=17_000,
    request_nano_usd=5,
)


def test_each_kind_of_token_is_priced_once_at_its_own_rate() -> None:
    by_hand = 61 * 1_000 + 20 * 100 + 10 * 1_250 + 5 * 7_000 + 4 * 11_000
    by_hand += 15 * 2_000 + 30 * 3_000 + 3 * 13_000 + 2 * 17_000 + 5 * 10**6
    assert Price(RATES).cost_femto_usd(USAGE) == by_hand


def test_a_kind_without_a_price_counts_at_the_dearest_rate_of_its_side() -> None:
    unsold = replace(RATES, image_input=None, audio_input=None, image_output=None, audio_output=None)
    by_hand = 61 * 1_000 + 20 * 100 + 10 * 1_250 + 9 * 1_250 + 15 * 2_000 + 30 * 3_000 + 5 * 3_000 + 5 * 10**6
    assert Price(unsold).cost_femto_usd(USAGE) == by_hand


@given(rates, rates, st.integers(0, 200))
def test_an_input_above_the_threshold_pays_the_long_band_for_all_of_it(low: Rates, high: Rates, threshold: int) -> None:
    band = Price(low, LongContext(threshold, high))
    used = high if USAGE.input_tokens > threshold else low
    assert band.cost_femto_usd(USAGE) == Price(used).cost_femto_usd(USAGE)


@given(prices, st.data())
def test_no_answer_within_the_projected_counts_costs_more_than_the_worst_case(
    price: Price, data: st.DataObject
) -> None:
    text, images, audio, output = (data.draw(st.integers(0, 3000)) for _ in range(4))
    usage = data.draw(whole_usages(text=text, images=images, audio=audio, output=output))
    worst = price.worst_cost_femto_usd(text=text, images=images, audio=audio, output=output)
    assert price.cost_femto_usd(usage) <= worst


@given(prices, whole_usages())
def test_a_cost_is_a_whole_number_and_never_negative(price: Price, usage: TokenUsage) -> None:
    cost = price.cost_femto_usd(usage)
    assert type(cost) is int
    assert cost >= 0


def test_every_count_of_a_usage_can_change_its_price() -> None:
    base = Price(RATES).cost_femto_usd(USAGE)
    for count in fields(TokenUsage):
        more = replace(USAGE, **{count.name: getattr(USAGE, count.name) + 1})
        assert Price(RATES).cost_femto_usd(more) != base, count.name

"""The projection covers every answer it allows, and a default cap shrinks to what is affordable, never beyond."""

from dataclasses import replace

from hypothesis import assume, example, given
from hypothesis import strategies as st
from jatevo_testing.strategies import asks, budgets_nano_usd, margins_bps, models, prices, whole_usages

from jatevo.domain.catalogue import InputEstimate, Model
from jatevo.domain.money import charge_nano_usd
from jatevo.domain.pricing import LongContext, Price, Rates
from jatevo.domain.projection import (
    SMALLEST_DEFAULT_CAP,
    Ask,
    InputSize,
    affordable_output_cap,
    project,
    shrink_default_cap,
    text_tokens,
)

SLOTS = st.integers(0, 64)


def amount_with_cap(model: Model, ask: Ask, margin_bps: int, cap: int) -> int:
    """The projection of a client that asks for exactly this cap."""
    return project(model, replace(ask, output_cap=cap), margin_bps).amount_nano_usd


@given(models(), asks, margins_bps, st.data())
def test_no_answer_within_the_projection_is_charged_more_than_it(
    model: Model, ask: Ask, margin_bps: int, data: st.DataObject
) -> None:
    projection = project(model, ask, margin_bps)
    text = text_tokens(model, ask)
    images = ask.size.images * model.estimate.image_tokens
    audio = ask.size.audio_parts * model.estimate.audio_tokens
    seen = data.draw(st.integers(0, text))
    output = min(projection.output_cap, model.context_window - seen) * projection.choices
    usage = data.draw(whole_usages(text=seen, images=images, audio=audio, output=output))
    assert projection.input_tokens == text + images + audio
    assert charge_nano_usd(model.price.cost_femto_usd(usage), margin_bps) <= projection.amount_nano_usd


_CHEAP, _DEAR = 10**6, 10**8
_DEAR_WHEN_LONG = Price(Rates(*[_CHEAP] * 5), LongContext(500, Rates(_CHEAP, _DEAR, _CHEAP, _CHEAP, _DEAR)))


@example(Model("m", 1000, 600, 600, _DEAR_WHEN_LONG, ()), Ask(InputSize(), exact_input_tokens=900), 0)
@given(models(), asks, margins_bps)
def test_the_projection_is_the_dearest_answer_that_the_context_holds(model: Model, ask: Ask, margin_bps: int) -> None:
    """By trying every length of input: nothing is held for a longest input beside a longest output."""
    projection, text = project(model, ask, margin_bps), text_tokens(model, ask)
    images = ask.size.images * model.estimate.image_tokens
    audio = ask.size.audio_parts * model.estimate.audio_tokens
    dearest = max(
        model.price.worst_cost_femto_usd(
            text=seen,
            images=images,
            audio=audio,
            output=min(projection.output_cap, model.context_window - seen) * ask.choices,
        )
        for seen in range(text + 1)
    )
    assert projection.amount_nano_usd == charge_nano_usd(dearest, margin_bps)


@given(models(), asks, margins_bps)
def test_the_cap_is_what_was_asked_for_within_what_the_model_can(model: Model, ask: Ask, margin_bps: int) -> None:
    cap = project(model, ask, margin_bps).output_cap
    longest = min(model.max_output_tokens, model.context_window)
    assert cap == min(model.default_output_tokens if ask.output_cap is None else ask.output_cap, longest)


@given(models(), asks, margins_bps, budgets_nano_usd)
def test_the_affordable_cap_is_the_exact_maximum(model: Model, ask: Ask, margin_bps: int, budget: int) -> None:
    cap = affordable_output_cap(model, ask, margin_bps, budget)
    longest = min(model.max_output_tokens, model.context_window)
    assert 0 <= cap <= longest
    if cap > 0:
        assert amount_with_cap(model, ask, margin_bps, cap) <= budget
    if cap < longest:
        assert amount_with_cap(model, ask, margin_bps, cap + 1) > budget


@given(models(), asks, margins_bps, budgets_nano_usd, SLOTS)
def test_a_shrunk_default_fits_what_is_left_and_is_never_above_the_default(
    model: Model, ask: Ask, margin_bps: int, budget: int, free_slots: int
) -> None:
    ask = replace(ask, output_cap=None)
    smaller = shrink_default_cap(model, ask, margin_bps, budget_left_nano_usd=budget, free_slots=free_slots)
    if smaller is None:
        assert amount_with_cap(model, ask, margin_bps, 1) > budget
        return
    assert 1 <= smaller.output_cap <= model.default_output_tokens
    assert smaller.amount_nano_usd <= budget
    assert smaller.amount_nano_usd == amount_with_cap(model, ask, margin_bps, smaller.output_cap)


@given(models(), asks, margins_bps, budgets_nano_usd, SLOTS)
def test_a_default_is_cut_below_a_useful_answer_only_when_no_more_is_affordable(
    model: Model, ask: Ask, margin_bps: int, budget: int, free_slots: int
) -> None:
    ask = replace(ask, output_cap=None)
    smaller = shrink_default_cap(model, ask, margin_bps, budget_left_nano_usd=budget, free_slots=free_slots)
    assume(smaller is not None)
    assert smaller is not None
    useful = min(SMALLEST_DEFAULT_CAP, model.default_output_tokens)
    assert smaller.output_cap >= min(useful, affordable_output_cap(model, ask, margin_bps, budget))


@given(models(), asks, margins_bps)
def test_no_input_is_projected_beyond_the_context_window(model: Model, ask: Ask, margin_bps: int) -> None:
    assert 0 <= text_tokens(model, ask) <= model.context_window


@given(prices, asks, st.integers(1000, 4000))
def test_an_account_whose_inputs_measure_more_is_projected_no_less(price: Price, ask: Ask, permille: int) -> None:
    model = Model("m", 10**9, 100, 100, price, (), InputEstimate())
    plain = replace(ask, estimate_permille=1000)
    assert text_tokens(model, replace(ask, estimate_permille=permille)) >= text_tokens(model, plain)


def test_bytes_beyond_ascii_and_tool_schemas_weigh_more() -> None:
    price = Price(Rates(1, 1, 1, 1, 1))
    model = Model("m", 10**6, 100, 100, price, (), InputEstimate(per_request=0, per_message=0))
    assert text_tokens(model, Ask(InputSize(ascii_bytes=1000))) == 500
    assert text_tokens(model, Ask(InputSize(other_bytes=1000))) == 1000
    assert text_tokens(model, Ask(InputSize(tool_ascii_bytes=1000))) == 750
    assert text_tokens(model, Ask(InputSize(ascii_bytes=1000), exact_input_tokens=7)) == 7

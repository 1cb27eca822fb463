"""Money is exact: what is parsed is what is meant, and a request is rounded once, up."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain import money

AMOUNTS = st.integers(0, money.MAX_NANO_USD)
FEMTO = st.integers(0, 10**27)
MARGINS = st.integers(0, 1_000_000)


@given(AMOUNTS)
def test_what_is_shown_is_parsed_as_the_same_amount(nano_usd: int) -> None:
    assert money.parse_usd(money.format_usd(nano_usd)) == nano_usd


@given(st.integers(-(10**20), 10**20))
def test_what_is_shown_is_the_exact_decimal_with_at_least_cents(nano_usd: int) -> None:
    shown = money.format_usd(nano_usd)
    assert Decimal(shown) * 10**9 == nano_usd
    places = shown.partition(".")[2]
    assert len(places) >= 2
    assert len(places) == 2 or not places.endswith("0")


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1), st.integers(1, 9))
def test_a_text_stands_for_its_exact_value(whole: int, fraction: int, places: int) -> None:
    text = f"{whole}.{fraction % 10**places:0{places}d}"
    assert money.parse_usd(text) == Fraction(text) * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1_000",
        "1,5",
        " 1",
        "1 ",
        "1\n",
        "0x1",
        "NaN",
        "inf",
        "٣",
        "0.0000000001",
    ],
)
def test_what_is_no_plain_decimal_is_refused_and_never_rounded(text: str) -> None:
    with pytest.raises(money.MoneyError):
        money.parse_usd(text)


def test_the_largest_amount_is_accepted_and_the_next_one_refused() -> None:
    assert money.parse_usd("1000000000") == money.MAX_NANO_USD
    with pytest.raises(money.MoneyError):
        money.parse_usd("1000000000.000000001")


@given(FEMTO, MARGINS)
def test_a_charge_is_the_exact_ceiling_of_cost_and_margin(cost_femto_usd: int, margin_bps: int) -> None:
    exact = Fraction(cost_femto_usd, 10**6) * (1 + Fraction(margin_bps, 10**4))
    assert money.charge_nano_usd(cost_femto_usd, margin_bps) == math.ceil(exact)


@given(FEMTO)
def test_a_cost_is_rounded_up_and_without_margin_the_charge_is_the_cost(cost_femto_usd: int) -> None:
    assert money.cost_nano_usd(cost_femto_usd) == math.ceil(Fraction(cost_femto_usd, 10**6))
    assert money.charge_nano_usd(cost_femto_usd, 0) == money.cost_nano_usd(cost_femto_usd)


@given(FEMTO, FEMTO, MARGINS)
def test_a_larger_cost_is_never_charged_less(one: int, other: int, margin_bps: int) -> None:
    low, high = sorted((one, other))
    assert money.charge_nano_usd(low, margin_bps) <= money.charge_nano_usd(high, margin_bps)


@given(AMOUNTS, st.integers(0, 10_000))
def test_a_share_rounds_down(nano_usd: int, bps: int) -> None:
    assert money.share_nano_usd(nano_usd, bps) == math.floor(Fraction(nano_usd * bps, 10_000))


@given(AMOUNTS, FEMTO, MARGINS)
def test_no_amount_is_ever_a_float(nano_usd: int, cost_femto_usd: int, margin_bps: int) -> None:
    results = (
        money.parse_usd(money.format_usd(nano_usd)),
        money.charge_nano_usd(cost_femto_usd, margin_bps),
        money.cost_nano_usd(cost_femto_usd),
        money.share_nano_usd(nano_usd, margin_bps),
    )
    assert all(type(result) is int for result in results)

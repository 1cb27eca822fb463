"""
What the sources agree on, if anything.

Let k be the quorum or the majority of the fresh sources, whichever is more. At least k of n sources say "this or more"
of every price up to the k-th highest, and "this or less" of every price from the k-th lowest. Between those two lies
the median; where it is not one point but an interval (an even number of sources, a quorum above the majority), the
point of it nearest to the last price is taken: nothing moves without k sources that saw it move.

Guarantee: with fewer than k liars the agreed price lies between the last price and what honest sources say, whichever
of the others are silent. So one liar among three moves nothing, not even while one of the honest two is out.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jatevo.domain.price_rules import BASIS_POINTS, PriceRules
from jatevo.domain.prices import Failing, Heard, NoObservation, Observation, plausible

CLOCK_SKEW_S = 120
"""How far a source's clock may run ahead of ours."""


class Standing(StrEnum):
    """What became of a source in a decision."""

    AGREED = "agreed"
    OUTLIER = "outlier"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Witness:
    """A source in a decision. `why` says why it is silent."""

    source: str
    standing: Standing
    price_pico_usd: int | None = None
    as_of_unix_s: int | None = None
    why: str = ""


class Missing(StrEnum):
    """Why there is no agreement."""

    SILENCE = "silence"
    """Fewer fresh sources than the quorum."""
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True, slots=True)
class Agreement:
    """The price that the sources agree on, or why there is none."""

    witnesses: tuple[Witness, ...]
    price_pico_usd: int | None
    missing: Missing | None = None


def agreement(heard: Sequence[Heard], last_pico_usd: int | None, now_unix_s: int, rules: PriceRules) -> Agreement:
    """Return what the sources agree on at `now_unix_s`. A source that speaks twice is heard once, at its lowest."""
    silent: list[NoObservation] = []
    fresh: dict[str, Observation] = {}
    for one in heard:
        judged = _judged(one, now_unix_s)
        if isinstance(judged, NoObservation):
            silent.append(judged)
        elif judged.source not in fresh or judged.price_pico_usd < fresh[judged.source].price_pico_usd:
            fresh[judged.source] = judged
    unheard = tuple(Witness(one.source, Standing.SILENT, why=_why(one)) for one in silent)
    if len(fresh) < rules.quorum:
        return Agreement((*_witnesses(fresh.values(), ()), *unheard), None, Missing.SILENCE)
    needed = max(rules.quorum, len(fresh) // 2 + 1)
    price = _median(sorted(one.price_pico_usd for one in fresh.values()), needed, last_pico_usd)
    agreed = {one.source for one in fresh.values() if within(one.price_pico_usd, price, rules.deviation_bps)}
    witnesses = (*_witnesses(fresh.values(), agreed), *unheard)
    if len(agreed) < needed:
        return Agreement(witnesses, None, Missing.DISAGREEMENT)
    return Agreement(witnesses, price)


def within(one: int, other: int, bps: int) -> bool:
    """Return whether the higher of two prices is at most so many basis points above the lower: there and back alike."""
    return max(one, other) * BASIS_POINTS <= min(one, other) * (BASIS_POINTS + bps)


def _median(prices: list[int], needed: int, last: int | None) -> int:
    low, high = prices[len(prices) - needed], prices[needed - 1]
    return low if last is None else min(max(last, low), high)


def _judged(one: Heard, now_unix_s: int) -> Heard:
    if isinstance(one, NoObservation):
        return one
    if not plausible(one.price_pico_usd):
        return NoObservation(one.source, Failing.IMPLAUSIBLE, f"{one.price_pico_usd} pico-USD")
    age_s = now_unix_s - one.as_of_unix_s
    if not -CLOCK_SKEW_S <= age_s <= one.max_age_s:
        return NoObservation(one.source, Failing.TOO_OLD, f"{age_s} s old")
    return one


def _witnesses(fresh: Iterable[Observation], agreed: Collection[str]) -> tuple[Witness, ...]:
    return tuple(
        Witness(
            one.source,
            Standing.AGREED if one.source in agreed else Standing.OUTLIER,
            one.price_pico_usd,
            one.as_of_unix_s,
        )
        for one in fresh
    )


def _why(one: NoObservation) -> str:
    return f"{one.failing}: {one.detail}" if one.detail else str(one.failing)

"""No sequence of price events mints budget beyond the rule: runs, liars, outages, rates, gaps, in any order."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from jatevo_testing.effort import EFFORT
from jatevo_testing.oracles import MINUTE, P, Timeline, heard

from jatevo.domain.market import MarketState, Reason
from jatevo.domain.oracle import Basis
from jatevo.domain.price_agreement import agreement
from jatevo.domain.price_average import HOURS, Average
from jatevo.domain.price_rules import BASIS_POINTS, HOUR_S, PriceRules
from jatevo.domain.prices import HIGHEST_PICO_USD, LOWEST_PICO_USD

DAY_S = 86_400
ANYTHING = st.none() | st.integers(-5, 2 * HIGHEST_PICO_USD)
NEARBY = st.none() | st.integers(P // 2, 2 * P)
SAID = st.lists(ANYTHING | NEARBY, max_size=5)
GAPS = st.sampled_from([0, 1, 60, 300, 300, 300, 600, 1800, 7200, DAY_S, 9 * DAY_S]) | st.integers(0, 40 * DAY_S)
RULES = st.builds(
    PriceRules,
    quorum=st.integers(1, 3),
    deviation_bps=st.integers(1, 3000),
    jump_bps=st.integers(1, 20_000),
    sustain_s=st.sampled_from([0, 300, 1800]),
    rise_bps=st.integers(100, 10_000),
)


class AnyEvents(RuleBasedStateMachine):
    """Drives an oracle, and remembers what it quoted on each day and what was ever in force."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Timeline()
        self.highest: dict[int, int] = {}
        self.ever: list[int] = []
        self.last: tuple[int, int | None] = (0, None)

    @initialize(rules=RULES)
    def begin(self, rules: PriceRules) -> None:
        self.line = Timeline(rules)

    @rule(said=SAID)
    def run(self, said: list[int | None]) -> None:
        self.line.run(*said)
        self.decided()

    @rule(price=st.integers(LOWEST_PICO_USD, HIGHEST_PICO_USD) | st.integers(P // 2, 2 * P), runs=st.integers(1, 30))
    def everybody_agrees_for_a_while(self, price: int, runs: int) -> None:
        for _ in range(runs):
            self.line.after(5 * MINUTE, price, price, price)
            self.decided()

    @rule(seconds=GAPS)
    def nothing_happens(self, seconds: int) -> None:
        self.line.wait(seconds)

    @rule(price=st.integers(LOWEST_PICO_USD, HIGHEST_PICO_USD), for_s=st.integers(1, 31 * DAY_S))
    def an_operator_sets_a_rate(self, price: int, for_s: int) -> None:
        self.line.set_rate(price, for_s=for_s)
        self.decided()

    @precondition(lambda self: self.line.oracle.rate is not None)
    @rule()
    def an_operator_clears_the_rate(self) -> None:
        self.line.clear_rate()
        self.decided()

    def decided(self) -> None:
        """Forget what bounds quotes between decisions: this was one."""
        oracle = self.line.oracle
        self.last = (oracle.at_ms, None)
        known = (oracle.in_force_pico_usd, oracle.market.price_pico_usd)
        self.ever += [price for price in known if price is not None]
        self.the_quote_keeps_the_rule()

    @invariant()
    def the_quote_keeps_the_rule(self) -> None:
        line, found = self.line, self.line.quote()
        assert (found.price_pico_usd is None) >= (found.state is MarketState.STALE)
        if found.price_pico_usd is None:
            return
        self.never_above_what_is_in_force_and_its_average(found)
        price, day = found.price_pico_usd, line.day
        earlier = [known for known in self.highest if known < day]
        if earlier:
            assert price <= self.highest[max(earlier)] * (BASIS_POINTS + line.rules.rise_bps) // BASIS_POINTS
        self.highest[day] = max(self.highest.get(day, 0), price)
        before = self.last[1]
        assert before is None or price <= before, "a quote never rises between decisions"
        self.last = (line.oracle.at_ms, price)

    def never_above_what_is_in_force_and_its_average(self, found: Any) -> None:
        assert LOWEST_PICO_USD // 2 < found.price_pico_usd <= max(self.ever)
        assert found.price_pico_usd <= found.in_force_pico_usd
        average = self.line.oracle.average
        if average.hours:
            assert found.price_pico_usd <= average.price_pico_usd()
            assert min(self.ever) <= average.price_pico_usd() <= max(self.ever)  # type: ignore[operator]

    def teardown(self) -> None:
        """From here, an hour of agreement is enough for `ok` at the price agreed on, whatever happened."""
        there = Timeline(self.line.rules, self.line.oracle, self.line.now)
        there.runs(45 * MINUTE, P, P, P)
        assert there.oracle.market.price_pico_usd == P
        quote = there.quote()
        assert quote.state is MarketState.OK
        assert quote.price_pico_usd is not None
        assert quote.basis is Basis.RATE or quote.in_force_pico_usd == P


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=60 * EFFORT, stateful_step_count=25)

HONEST = st.integers(P * 90 // 100, P * 110 // 100)
LIE = st.none() | st.integers(1, HIGHEST_PICO_USD)


@given(st.lists(st.tuples(HONEST | st.none(), HONEST | st.none(), LIE, st.integers(1, 3600)), max_size=60))
def test_one_liar_among_three_never_moves_the_price_beyond_what_the_honest_say(
    events: list[tuple[int | None, int | None, int | None, int]],
) -> None:
    """Whatever it says, whenever the honest two are silenced: the price stays where honest sources have been."""
    line = Timeline()
    line.runs(35 * MINUTE, P, P, P)
    low = high = P
    for one, other, lie, seconds in events:
        said = [price for price in (one, other) if price is not None]
        low, high = min([low, *said]), max([high, *said])
        before = line.oracle.market.price_pico_usd
        assert before is not None
        line.after(seconds, one, other, lie)
        after = line.oracle.market.price_pico_usd
        assert after is not None
        if line.oracle.market.pending is None:
            assert min([before, *said]) <= after <= max([before, *said])
        assert low <= after <= high


@given(st.lists(st.tuples(st.lists(LIE, max_size=1), st.integers(1, 9 * DAY_S)), max_size=60))
def test_silence_never_moves_the_price(events: list[tuple[list[int | None], int]]) -> None:
    """One voice is silence, too: it is no quorum."""
    line = Timeline()
    line.runs(26 * HOUR_S, P, P, P)
    for said, seconds in events:
        assert line.after(seconds, *said) is Reason.KEPT_SILENCE
        assert line.oracle.market.price_pico_usd == P
        assert line.quote().price_pico_usd in {P, None}


@given(st.lists(st.integers(LOWEST_PICO_USD, HIGHEST_PICO_USD), min_size=1, max_size=9), st.integers(1, 4), LIE)
def test_fewer_than_a_majority_decide_nothing(honest: list[int], quorum: int, last: int | None) -> None:
    """The agreed price has as many sources at or above it as at or below it, of those that are needed."""
    rules = PriceRules(quorum=quorum, deviation_bps=5000)
    agreed = agreement(heard(*honest, at_unix_s=1), last, 1, rules).price_pico_usd
    if agreed is None:
        return
    spoke = honest[:8]
    needed = max(quorum, len(spoke) // 2 + 1)
    if last is None or agreed > last:
        assert sum(price >= agreed for price in spoke) >= needed
    if last is not None and agreed < last:
        assert sum(price <= agreed for price in spoke) >= needed


@given(st.lists(st.tuples(st.integers(1, 10**15), st.integers(1, 3 * DAY_S)), min_size=1, max_size=40))
def test_the_average_is_that_of_every_second_it_covers(steps: list[tuple[int, int]]) -> None:
    start = now = 1_795_000_000
    average = Average()
    for price, seconds in steps:
        average = average.held(price, now, now + seconds)
        now += seconds
    first = max(start, now - now % HOUR_S - HOURS * HOUR_S)
    weighted, at = 0, start
    for price, seconds in steps:
        weighted += price * max(0, at + seconds - max(at, first))
        at += seconds
    assert average.price_pico_usd() == weighted // (now - first)
    assert len(average.hours) <= HOURS + 1

"""Routing as a pure function: order, weights, stickiness, and what is passed over and why."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.catalogue import Route
from jatevo.domain.routing import Option, Standing, ordered, ready_in_ms, sticky_key


def route(pool: str, weight: int = 1, priority: int = 0) -> Route:
    return Route(pool, "model", weight, priority)


def order(options: list[Option], key: str = "key") -> list[str]:
    return [choice.route.pool for choice in ordered(options, key) if choice.place is not None]


def first_of(options: list[Option], keys: int = 4000) -> Counter[str]:
    return Counter(order(options, f"key {number}")[0] for number in range(keys))


def test_lower_priorities_come_first_whatever_the_key() -> None:
    options = [Option(route("spare", priority=1, weight=1000)), Option(route("main"))]
    assert all(order(options, str(key)) == ["main", "spare"] for key in range(100))


def test_keys_spread_in_proportion_to_weights() -> None:
    shares = first_of([Option(route("big", 3)), Option(route("small", 1))])
    assert 2_850 < shares["big"] < 3_150


def test_a_pool_that_leaves_moves_only_its_own_keys() -> None:
    options = [Option(route(pool)) for pool in "abc"]
    for key in map(str, range(300)):
        before = order(options, key)
        without = order([option for option in options if option.route.pool != before[1]], key)
        assert without == [before[0], before[2]]


@given(st.permutations(["a", "b", "c", "d"]), st.text())
def test_the_order_depends_on_nothing_but_the_facts(pools: list[str], key: str) -> None:
    assert order([Option(route(pool)) for pool in pools], key) == order([Option(route(pool)) for pool in "abcd"], key)


def test_what_cannot_be_asked_is_passed_over_with_its_reason() -> None:
    options = [
        Option(route("cooling"), Standing.COOLING, ready_at_ms=7_000),
        Option(route("drained"), Standing.DRAINED),
        Option(route("full"), in_flight=2, room=2),
        Option(route("busy"), in_flight=1, room=2),
    ]
    choices = ordered(options, "key")
    assert order(options) == ["busy"]
    assert {choice.route.pool: choice.standing for choice in choices if choice.place is None} == {
        "cooling": Standing.COOLING,
        "drained": Standing.DRAINED,
        "full": Standing.FULL,
    }


def test_a_pool_that_failed_for_this_account_is_its_last_choice() -> None:
    options = [Option(route("doubted"), Standing.DOUBTED), Option(route("spare", priority=9))]
    assert order(options) == ["spare", "doubted"]


def test_a_pool_to_be_probed_keeps_its_place() -> None:
    assert order([Option(route("main"), Standing.PROBE), Option(route("spare", priority=1))]) == ["main", "spare"]


def test_how_long_to_wait_is_what_the_first_pool_needs() -> None:
    cooling = [Option(route(pool), Standing.COOLING, ready_at_ms=at) for pool, at in (("a", 9_000), ("b", 4_000))]
    drained = Option(route("c"), Standing.DRAINED)
    assert ready_in_ms(ordered([*cooling, drained], "key"), 1_000) == 3_000
    assert ready_in_ms(ordered([drained], "key"), 1_000) is None
    assert ready_in_ms(ordered([Option(route("d"), in_flight=1, room=1), *cooling], "key"), 1_000) == 0


def test_two_accounts_with_one_cache_key_do_not_share_it() -> None:
    assert sticky_key("acct_a", "x") != sticky_key("acct_b", "x")

"""The circuit breaker: when it opens, that one probe goes through, that it closes, and that no account opens it."""

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.breaker import Breaker, Evidence, Failure, Rules, State

RULES = Rules(failures=3, memory_ms=30_000, cooldown_ms=5_000, longest_ms=60_000, probe_ms=10_000)


def evidence(*failures: Failure) -> Evidence:
    found = Evidence()
    for failure in failures:
        found = found.with_failure(failure, RULES)
    return found


def test_a_closed_one_lets_everybody_through() -> None:
    assert Breaker().asks(0) is State.CLOSED


def test_an_open_one_lets_nobody_through_until_its_cooldown_is_over() -> None:
    opened = Breaker().tripped(1_000, RULES)
    assert opened.asks(5_999) is State.OPEN
    assert opened.asks(6_000) is State.HALF_OPEN


def test_a_claimed_one_lets_nobody_else_through_until_its_probe_is_given_up() -> None:
    probed = Breaker().tripped(0, RULES).claimed(5_000, RULES)
    assert probed.asks(14_999) is State.OPEN
    assert probed.asks(15_000) is State.HALF_OPEN


def test_an_answered_probe_closes_and_forgets_how_often_it_opened() -> None:
    closed = Breaker().tripped(0, RULES).claimed(5_000, RULES).recovered()
    assert (closed.state, closed.trips, closed.version) == (State.CLOSED, 0, 3)


def test_each_failed_probe_doubles_the_cooldown_up_to_a_bound() -> None:
    breaker, now, waits = Breaker(), 0, []
    for _ in range(6):
        breaker = breaker.tripped(now, RULES)
        waits.append(breaker.until_ms - now)
        now = breaker.until_ms
        breaker = breaker.claimed(now, RULES)
    assert waits == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]


def test_an_upstream_s_own_wish_counts_but_not_without_end() -> None:
    assert Breaker().tripped(0, RULES, at_least_ms=17_000).until_ms == 17_000
    assert Breaker().tripped(0, RULES, at_least_ms=1_000).until_ms == 5_000
    assert Breaker().tripped(0, RULES, at_least_ms=10**9).until_ms == 60_000


def test_a_clock_that_is_ahead_cannot_keep_a_pool_away() -> None:
    assert Breaker(State.OPEN, until_ms=10**12).believed(0, RULES).until_ms == 60_000


def test_connections_refused_open_it_whoever_asked() -> None:
    refused = [Failure(at) for at in (0, 1, 2)]
    assert not evidence(*refused[:2]).convicts(RULES)
    assert evidence(*refused).convicts(RULES)


def test_failures_long_ago_do_not_count() -> None:
    assert not evidence(Failure(0), Failure(1), Failure(30_002)).convicts(RULES)


def test_failures_that_each_took_longer_than_any_memory_count_as_long_as_they_follow_one_another() -> None:
    """A process that serves one request at a time learns nothing else of a pool that is silent."""
    in_a_row = [Failure(120_000 * at + at, account, took_ms=120_000) for at, account in enumerate("aba", start=1)]
    assert evidence(*in_a_row).convicts(RULES)
    idle = Failure(in_a_row[-1].at_ms + 150_000, "b", took_ms=120_000)
    assert evidence(*in_a_row, idle).failures == (idle,)


def test_several_accounts_that_meet_failures_open_it() -> None:
    assert evidence(Failure(0, "a"), Failure(1, "b"), Failure(2, "c")).convicts(RULES)
    assert evidence(Failure(0, "a"), Failure(1, "a"), Failure(2, "b")).convicts(RULES)


@given(st.lists(st.integers(0, 1_000), max_size=50).map(sorted))
def test_one_account_alone_never_opens_it(times: list[int]) -> None:
    assert not evidence(*(Failure(at, "poison") for at in times)).convicts(RULES)


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=60))
def test_evidence_stays_small(accounts: list[str | None]) -> None:
    found = evidence(*(Failure(at, account) for at, account in enumerate(accounts)))
    assert len(found.failures) <= 2 * RULES.failures

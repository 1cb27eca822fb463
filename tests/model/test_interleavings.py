"""
The protocol against itself: random interleavings of everything that can happen, on two real engines.

Each seed is one history of an account: concurrent requests in several processes with clocks of their own, calls that
are throttled, lost, repeated or late, handlers killed at any point, operators at work, midnight. The auditor checks
each write in the order the engine took it, and the whole at rest; see `jatevo_testing.simulation`.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from jatevo_testing.effort import seeds
from jatevo_testing.simulation.processes import Engine, connected
from jatevo_testing.simulation.simulation import Simulation

ON_DYNOXIDE = 60
ON_EXTENDDB = 15

EVERY_HISTORY = frozenset(
    {
        "accepted in 1",
        "accepted in 2",
        "account changed",
        "account refused",
        "held in account",
        "held in key",
        "held in minute",
        "held in month",
        "held in prepaid",
        "held in slots",
        "held in visitor",
        "key refused",
        "minute refused",
        "month refused",
        "prepaid refused",
        "slots refused",
        "visitor refused",
        "granted",
        "corrected",
        "paid from the balance",
        "paid from the budget",
        "went on to another pool",
        "no place in another pool",
        "adjusted",
        "adjusted with holds open",
        "applied twice",
        "applied, and once more later",
        "applied, its answer lost",
        "caps changed",
        "caps removed",
        "charged answered",
        "charged client_error",
        "charged no_answer",
        "expired abandoned",
        "key disabled",
        "killed change",
        "killed request",
        "killed sweep",
        "landed after it was decided",
        "lost before it was applied",
        "no answer, applied later",
        "overrun",
        "recovered by a full sweep",
        "refusal from memory",
        "refusal from the store",
        "refused budget_exhausted",
        "refused budget_in_flight",
        "refused concurrency_limit",
        "refused key_disabled",
        "refused projected_cost_exceeds_budget",
        "refused request_quota_exhausted",
        "released reserve_unknown",
        "released window_refused",
        "sweep_at lost",
        "sweep_at removed",
        "throttled",
        "transaction conflict",
    }
)


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """What the histories of this module came across."""
    return Counter()


@pytest.fixture(scope="module")
def first(dynoxide: str) -> Iterator[Engine]:
    with connected(dynoxide) as engine:
        yield engine


@pytest.fixture(scope="module")
def second(extenddb: str) -> Iterator[Engine]:
    with connected(extenddb) as engine:
        yield engine


@pytest.mark.parametrize("seed", seeds(ON_DYNOXIDE))
def test_no_history_breaks_the_books(first: Engine, reached: Counter[str], seed: int) -> None:
    reached.update(Simulation(first, seed).run())
    reached["histories"] += 1


@pytest.mark.parametrize("seed", seeds(ON_EXTENDDB))
def test_no_history_breaks_the_books_on_a_second_engine(second: Engine, seed: int) -> None:
    Simulation(second, seed).run()


def test_the_histories_came_across_everything(reached: Counter[str]) -> None:
    if reached["histories"] < ON_DYNOXIDE:
        pytest.skip("only some histories were run")
    assert reached.keys() >= EVERY_HISTORY, sorted(EVERY_HISTORY - reached.keys())

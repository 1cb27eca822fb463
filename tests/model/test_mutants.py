"""Known bugs, planted one at a time: the simulation finds each of them, and its history can be made short."""

import logging
from collections.abc import Iterator

import pytest
from jatevo_testing.simulation.chance import Script
from jatevo_testing.simulation.gateway.simulation import GatewaySimulation
from jatevo_testing.simulation.mutants import MUTANTS
from jatevo_testing.simulation.shrinking import Failure, Shrinking, failure_of

pytestmark = pytest.mark.timeout(600)  # a bug may be found late, by a machine that does other things
SEEDS, STEPS = 24, 1200


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def failure(seed: int, script: Script | None = None) -> tuple[GatewaySimulation, Failure | None]:
    history = GatewaySimulation(seed, steps=STEPS, script=script)
    try:
        history.run()
    except AssertionError as error:
        return history, failure_of(error)
    return history, None


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_bug_is_found(name: str) -> None:
    with MUTANTS[name]():
        assert any(failure(seed)[1] for seed in range(SEEDS)), f"nobody notices {name}"


def test_the_history_of_a_bug_is_made_short() -> None:
    with MUTANTS["round-down"]():
        history, found = failure(0)
        assert found is not None
        tries = iter(range(150))
        shrinking = Shrinking(
            history.chance.made, lambda script: failure(0, script)[1], found, lambda: next(tries, None) is not None
        )
        shortest, again = failure(0, shrinking.shortest())
    assert again is not None
    assert again.where == found.where
    assert shortest.steps < history.steps

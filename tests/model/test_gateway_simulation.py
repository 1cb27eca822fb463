"""
The whole gateway under a seeded simulation: nothing that can fail around it breaks a limit, a book or a promise.

Each seed is one history of many customers: see `jatevo_testing.simulation.gateway`. `make simulate` runs more of them,
and longer ones; what a long run came to is in `docs/simulation.md`.
"""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from jatevo_testing.effort import seeds
from jatevo_testing.simulation.gateway.crowd import CROWDED_ONE_IN
from jatevo_testing.simulation.gateway.simulation import GatewaySimulation

SEEDS, STEPS = 18, 900
EVERY_HISTORY = frozenset(
    {
        "adjusted with holds open",
        "answered a visitor",
        "answered as a stream",
        "answered as messages",
        "answered whole",
        "changed: a new key",
        "changed: caps",
        "changed: expiry",
        "changed: limits",
        "changed: prices",
        "charged answered",
        "charged client_left",
        "charged no_answer",
        "charged upstream_broke",
        "client left",
        "continued",
        "expired",
        "expired abandoned",
        "held in account",
        "held in key",
        "held in lane",
        "held in minute",
        "held in month",
        "held in slots",
        "held in visitor",
        "HTTP 400 previous_response_not_found",
        "HTTP 404 not_found",
        "HTTP 429 budget_exhausted",
        "HTTP 429 budget_in_flight",
        "HTTP 429 concurrency_limit",
        "HTTP 429 projected_cost_exceeds_budget",
        "HTTP 429 rate_limit_exceeded",
        "HTTP 429 request_quota_exhausted",
        "HTTP 503 service_unavailable",
        "HTTP 504 upstream_timeout",
        "holdings: move a wallet",
        "holdings: oracle",
        "holdings: price",
        "holdings: refresh",
        "holdings: snapshot",
        "killed",
        "nights",
        "overrun",
        "refusal from the store",
        "released reserve_unknown",
        "spent of the bag",
        "stored: DELETE",
        "stored: GET",
        "stream broken, and told so",
        "transaction conflict",
    }
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Let the gateway's log rest: here everything fails all the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def met() -> Counter[str]:
    """What the histories of this module came across."""
    return Counter()


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_no_history_of_the_gateway_breaks_a_promise(met: Counter[str], seed: int) -> None:
    met.update(GatewaySimulation(seed, steps=STEPS).run())
    met["histories"] += 1


def test_the_histories_of_the_gateway_came_across_everything(met: Counter[str]) -> None:
    if met["histories"] < SEEDS:
        pytest.skip("only some histories were run")
    assert met.keys() >= EVERY_HISTORY, sorted(EVERY_HISTORY - met.keys())


def test_no_history_of_a_crowd_breaks_a_promise() -> None:
    history = GatewaySimulation(CROWDED_ONE_IN - 1, steps=200)
    history.run()
    assert len(history.customers) > 100


def test_a_seed_repeats_its_history_to_the_letter_in_any_process() -> None:
    history = GatewaySimulation(3, steps=400)
    history.run()
    program = (
        "import logging; logging.disable(logging.CRITICAL)\n"
        "from jatevo_testing.simulation.gateway.simulation import GatewaySimulation\n"
        "history = GatewaySimulation(3, steps=400); history.run(); print(history.fingerprint)"
    )
    environment = {**os.environ, "PYTHONPATH": "tests/support", "PYTHONHASHSEED": "4711"}
    other = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == history.fingerprint


def test_a_history_can_be_told_again_from_its_choices() -> None:
    history = GatewaySimulation(5, steps=300)
    history.run()
    again = GatewaySimulation(5, steps=300, script=history.chance.made)
    again.run()
    assert list(again.trace)[: len(history.trace) // 2] == list(history.trace)[: len(history.trace) // 2]

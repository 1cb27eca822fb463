"""Bursts from many processes at real gateways: exactly what the limits allow passes, not one more and not one less."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jatevo_testing.bench import check_books
from jatevo_testing.crowd import Outcomes, burst
from jatevo_testing.gateway import gateways
from jatevo_testing.tables import fresh_tables
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.adapters.dynamodb.grants import DynamoGrants
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import account_window
from jatevo.domain.binding import prepaid_window
from jatevo.domain.grants import Grant
from jatevo.domain.windows import Limits, unbalanced_nano_usd
from jatevo_local.engine import start_dynoxide
from jatevo_local.ports import accepts_connections, free_port
from jatevo_local.processes import Children, Program

SUPPORT = Path(__file__).resolve().parents[1] / "support"
ALLOWED, SENT = 11, 200
FLAT = MODEL | {"id": "flat-model", "price": {"input": "0", "output": "0", "request": "1.00"}}
OUTPUT_ONLY = MODEL | {"id": "output-model", "price": {"input": "0", "output": "2.00"}}
"""Its input is free, and the upstream answers to the cap, so that each charge is what was projected."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Town:
    """Four gateways over one engine and one upstream, all processes of their own."""

    world: World
    ports: list[int]

    async def grant(self, customer: Customer, amount_nano_usd: int) -> None:
        """Give a customer a balance, before anybody knows the account."""
        store = DynamoGrants(self.world.gateway.dynamodb, self.world.names)
        await store.add(Grant("g", customer.account.id, amount_nano_usd, "paid", "ada", 0))

    async def burst(self, customer: Customer, *, ports: int, requests: int = SENT, **body: Any) -> Outcomes:
        return await burst(self.ports[:ports], customer.secret, requests=requests, body=body)


@pytest.fixture(scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    folder = tmp_path_factory.mktemp("burst")
    with Children(folder, say=lambda _: None) as children:
        engine = start_dynoxide(children, free_port(), folder / "dynamodb.db")
        port = start_upstream(children)
        with fresh_tables(engine.endpoint_url) as names:
            world = World(engine.endpoint_url, names.windows.removesuffix("-windows"), Settings(margin_bps=1000))
            world.apply_catalogue(MODEL, FLAT, OUTPUT_ONLY, base_url=f"http://127.0.0.1:{port}/v1")
            async with gateways(world.settings, [None] * 4) as running:
                yield Town(world, [gateway.port for gateway in running])
            await world.close()


def start_upstream(children: Children) -> int:
    port = free_port()
    argv = [sys.executable, "-m", "jatevo_testing.upstream", str(port)]
    environment = {"PYTHONPATH": str(SUPPORT)}
    children.start(Program("upstream", argv, ready=lambda: accepts_connections(port), environment=environment))
    return port


async def check_at_rest(town: Town, customer: Customer, accepted: int) -> None:
    """Check that the ledger holds a charge for each request that was accepted, and that nothing is open."""
    entries, window = await town.world.ledger(customer), await town.world.window(customer)
    assert not window.open
    check_books(window, entries)
    assert sum(not entry.gives_request_back for entry in entries) == accepted
    assert window.limits.requests - window.requests_left == accepted


@pytest.mark.parametrize(("ports", "stream"), [(1, False), (4, True)])
async def test_a_quota_of_eleven_lets_exactly_eleven_of_two_hundred_pass(
    town: Town, ports: int, *, stream: bool
) -> None:
    customer = town.world.customer(requests=ALLOWED, budget_nano_usd=1000 * USD, concurrency=200)

    outcomes = await town.burst(customer, ports=ports, stream=stream)

    assert outcomes == {(200, ""): ALLOWED, (429, "request_quota_exhausted"): SENT - ALLOWED}
    await check_at_rest(town, customer, ALLOWED)


BUDGET_CODES = {"budget_exhausted", "budget_in_flight"}


@pytest.mark.parametrize(
    ("ports", "body", "charge"),
    [(1, {"model": "flat-model"}, 1_100_000_000), (4, {"model": "output-model", "max_tokens": 150}, 330_000)],
)
async def test_a_budget_of_eleven_worst_cases_lets_exactly_eleven_of_two_hundred_pass(
    town: Town, ports: int, body: dict[str, Any], charge: int
) -> None:
    customer = town.world.customer(requests=1000, budget_nano_usd=ALLOWED * charge, concurrency=200)

    outcomes = await town.burst(customer, ports=ports, **body)

    assert outcomes[200, ""] == ALLOWED
    assert outcomes.total() == SENT
    assert {code for status, code in outcomes if status != 200} <= BUDGET_CODES
    await check_at_rest(town, customer, ALLOWED)
    window = await town.world.window(customer)
    assert (window.budget_left_nano_usd, window.settled_nano_usd) == (0, ALLOWED * charge)


async def test_one_nano_dollar_less_lets_only_ten_pass(town: Town) -> None:
    customer = town.world.customer(requests=1000, budget_nano_usd=ALLOWED * 330_000 - 1, concurrency=200)

    outcomes = await town.burst(customer, ports=4, requests=40, model="output-model", max_tokens=150)

    assert outcomes[200, ""] == ALLOWED - 1
    await check_at_rest(town, customer, ALLOWED - 1)


async def test_both_limits_hold_at_once(town: Town) -> None:
    customer = town.world.customer(requests=ALLOWED, budget_nano_usd=ALLOWED * 330_000, concurrency=200)

    outcomes = await town.burst(customer, ports=4, requests=60, model="output-model", max_tokens=150)

    assert outcomes[200, ""] == ALLOWED
    await check_at_rest(town, customer, ALLOWED)


@pytest.mark.parametrize("ports", [1, 4])
async def test_many_small_requests_at_once_are_all_served_while_there_is_room(town: Town, ports: int) -> None:
    customer = town.world.customer(requests=1000, budget_nano_usd=11 * USD, concurrency=200)

    outcomes = await town.burst(customer, ports=ports, requests=150)

    assert outcomes == {(200, ""): 150}
    await check_at_rest(town, customer, 150)


async def test_a_limit_of_slots_is_never_passed(town: Town) -> None:
    customer = town.world.customer(requests=1000, budget_nano_usd=11 * USD, concurrency=3)

    outcomes = await town.burst(customer, ports=4, requests=60)

    assert outcomes[200, ""] >= 3
    assert {code for status, code in outcomes if status != 200} <= {"concurrency_limit"}
    await check_at_rest(town, customer, outcomes[200, ""])


CHARGE = 330_000
"""What a request to `output-model` with 150 tokens comes to, and what it holds."""


@pytest.mark.parametrize(("of_the_day", "of_the_balance"), [(3, 8), (0, 11)])
async def test_a_day_and_a_balance_let_exactly_what_both_carry_pass(
    town: Town, of_the_day: int, of_the_balance: int
) -> None:
    """Two hundred race for both; each request is paid by one of them, whole."""
    customer = town.world.customer(requests=1000, budget_nano_usd=of_the_day * CHARGE + 1, concurrency=200)
    await town.grant(customer, of_the_balance * CHARGE + CHARGE - 1)

    outcomes = await town.burst(customer, ports=4, model="output-model", max_tokens=150)

    assert outcomes[200, ""] == ALLOWED
    # Each has less than a charge left, but more than nothing: who comes when all is settled is told so.
    late = {"projected_cost_exceeds_budget"}
    assert {code for status, code in outcomes if status != 200} <= BUDGET_CODES | late
    entries, day = await town.world.ledger(customer), account_window(customer.account.id, town.world.today())
    for key, most in ((day, of_the_day), (prepaid_window(customer.account.id), of_the_balance)):
        window = await town.world.gateway.windows.read(key)
        assert window is not None
        assert (unbalanced_nano_usd(window), len(window.open)) == (0, 0)
        assert window.settled_nano_usd == most * CHARGE == sum(entry.charged_in(key) for entry in entries)
        assert window.budget_left_nano_usd >= 0
    assert sum(not entry.gives_request_back for entry in entries) == ALLOWED
    assert sum(entry.figures.charge_nano_usd for entry in entries) == ALLOWED * CHARGE
    assert (await town.world.window(customer)).requests_left == 1000 - ALLOWED


async def test_a_months_and_a_minutes_quota_let_exactly_the_smaller_pass(town: Town) -> None:
    quotas: dict[str, Any] = {"monthly": Limits(requests=ALLOWED), "requests_per_minute": 1000}
    customer = town.world.customer(requests=1000, budget_nano_usd=1000 * USD, concurrency=200, **quotas)

    outcomes = await town.burst(customer, ports=4, requests=100)

    assert outcomes[200, ""] == ALLOWED
    assert {code for status, code in outcomes if status != 200} == {"request_quota_exhausted"}
    await check_at_rest(town, customer, ALLOWED)

"""Requests that a limit refuses: which limit it was, what remains, when it resets, what to do; and nothing is lost."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import refused
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, to_the_cap, usage
from jatevo_testing.world import USD, Customer, World

from jatevo.adapters.wire.errors import ErrorWording, wire_error
from jatevo.domain.calendar import iso_instant, next_reset_unix_s
from jatevo.domain.refusals import Code, QuotaFacts, Refusal, Scope
from jatevo.domain.windows import Limits, unbalanced_nano_usd

QUOTA = "insufficient_quota"
RATE = "rate_limit_exceeded"
FLAT_CHARGE = 1_100_000_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def told_until_the_reset(world: World, answer: httpx.Response, error: dict[str, Any]) -> None:
    """Check that a refusal says when it ends, to people and to programs, and that no SDK retries it."""
    now = world.gateway.clock.now_ms() // 1000
    reset = next_reset_unix_s(now)
    assert abs(int(answer.headers["retry-after"]) - (reset - now)) <= 2
    assert answer.headers["x-should-retry"] == "false"
    assert error["resets_at"] == reset
    assert iso_instant(reset) in error["message"]
    assert "$JTVO" in error["message"]
    assert "top up at https://example.test/top-up" in error["message"]


async def standing(world: World, customer: Customer) -> tuple[int, int, int]:
    """Return requests left, budget left and reservations open, having checked the books."""
    window = await world.window(customer)
    entries = await world.ledger(customer)
    assert unbalanced_nano_usd(window) == 0
    assert window.settled_nano_usd == sum(entry.figures.charge_nano_usd for entry in entries)
    return window.requests_left, window.budget_left_nano_usd, len(window.open)


async def test_an_empty_request_quota_refuses_and_says_so(lasting_world: World) -> None:
    customer = lasting_world.customer(requests=2)
    for _ in range(2):
        assert (await lasting_world.chat(customer, max_tokens=1)).status_code == 200
    before = await standing(lasting_world, customer)

    for stream in (False, True):
        answer = await lasting_world.chat(customer, stream=stream)

        error = refused(answer, 429, "request_quota_exhausted", kind=QUOTA)
        assert "quota of 2 requests" in error["message"]
        assert "0 remain" in error["message"]
        told_until_the_reset(lasting_world, answer, error)
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
    assert await standing(lasting_world, customer) == before
    assert before[0] == before[2] == 0


async def test_an_empty_budget_refuses_and_says_so(lasting_world: World) -> None:
    customer = lasting_world.customer(budget_nano_usd=FLAT_CHARGE)
    assert (await lasting_world.chat(customer, model="flat-model")).status_code == 200

    answer = await lasting_world.chat(customer, model="flat-model")

    error = refused(answer, 429, "budget_exhausted", kind=QUOTA)
    assert "budget of $1.10 is used up" in error["message"]
    told_until_the_reset(lasting_world, answer, error)
    assert answer.headers["x-jatevo-budget-remaining-usd"] == "0.00"
    assert answer.headers["x-jatevo-budget-limit-usd"] == "1.10"
    assert await standing(lasting_world, customer) == (10, 0, 0)


async def test_when_both_are_empty_the_request_quota_is_named(lasting_world: World) -> None:
    customer = lasting_world.customer(requests=1, budget_nano_usd=FLAT_CHARGE)
    assert (await lasting_world.chat(customer, model="flat-model")).status_code == 200

    refused(await lasting_world.chat(customer, model="flat-model"), 429, "request_quota_exhausted", kind=QUOTA)


async def test_a_cost_that_does_not_fit_names_the_cap_that_would_and_that_cap_is_served(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(budget_nano_usd=1_000_000)
    lasting_upstream.script = answering("short", usage(0, 0))

    answer = await lasting_world.chat(customer, max_tokens=2000)

    error = refused(answer, 429, "projected_cost_exceeds_budget", kind=QUOTA)
    told_until_the_reset(lasting_world, answer, error)
    affordable = error["affordable_output_tokens"]
    assert f"at most {affordable} output tokens" in error["message"]
    assert float(error["projected_cost_usd"]) > float(error["budget_remaining_usd"]) == 0.001
    assert "max_tokens" in error["message"]
    one_more = await lasting_world.chat(customer, max_tokens=affordable + 1)
    refused(one_more, 429, "projected_cost_exceeds_budget", kind=QUOTA)
    assert not lasting_upstream.asked
    assert (await lasting_world.chat(customer, max_tokens=affordable)).status_code == 200


async def test_an_input_that_does_not_fit_says_that_the_input_alone_does_not(lasting_world: World) -> None:
    customer = lasting_world.customer(budget_nano_usd=1_000)

    error = refused(await lasting_world.chat(customer), 429, "projected_cost_exceeds_budget", kind=QUOTA)

    assert error["affordable_output_tokens"] == 0
    assert "input alone does not fit" in error["message"]


async def test_a_request_without_a_cap_gets_the_one_that_fits(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(budget_nano_usd=200_000)

    assert (await lasting_world.chat(customer)).status_code == 200

    [entry] = await lasting_world.ledger(customer)
    assert entry.reserved_nano_usd <= 200_000
    assert 0 < lasting_upstream.asked[0].body["max_tokens"] < 100


@asynccontextmanager
async def one_under_way(world: World, upstream: ScriptedUpstream, customer: Customer) -> AsyncIterator[None]:
    """Keep one request of a customer waiting for its answer."""
    asked, answer_now = asyncio.Event(), asyncio.Event()

    async def waiting(request: Asked, connection: Connection) -> None:
        asked.set()
        await answer_now.wait()
        await to_the_cap(request, connection)

    upstream.script = waiting
    under_way = asyncio.create_task(world.chat(customer, model="flat-model"))
    await asked.wait()
    upstream.script = to_the_cap
    yield
    answer_now.set()
    assert (await under_way).status_code == 200


async def test_a_budget_held_by_requests_under_way_is_worth_a_retry_in_seconds(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(budget_nano_usd=FLAT_CHARGE + 5)

    async with one_under_way(lasting_world, lasting_upstream, customer):
        answer = await lasting_world.chat(customer, model="flat-model")

    error = refused(answer, 429, "budget_in_flight", kind=RATE)
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert "x-should-retry" not in answer.headers
    assert "$1.10" in error["message"]
    assert "under way" in error["message"]
    assert await standing(lasting_world, customer) == (10, 5, 0)


async def test_too_many_at_once_are_worth_a_retry_in_a_second(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(concurrency=1)

    async with one_under_way(lasting_world, lasting_upstream, customer):
        answer = await lasting_world.chat(customer)

    error = refused(answer, 429, "concurrency_limit", kind=RATE)
    assert answer.headers["retry-after"] == "1"
    assert "limit of 1 requests at once" in error["message"]
    assert (await standing(lasting_world, customer))[::2] == (10, 0)
    assert (await lasting_world.chat(customer)).status_code == 200


@pytest.mark.parametrize(
    ("caps", "code", "kind"),
    [
        (Limits(requests=1), "request_quota_exhausted", QUOTA),
        (Limits(budget_nano_usd=FLAT_CHARGE), "budget_exhausted", QUOTA),
        (Limits(budget_nano_usd=FLAT_CHARGE + 1), "projected_cost_exceeds_budget", QUOTA),
    ],
)
async def test_a_cap_of_a_key_refuses_in_its_own_name_and_leaves_the_account_alone(
    lasting_world: World, caps: Limits, code: str, kind: str
) -> None:
    customer = lasting_world.customer(caps=caps)
    assert (await lasting_world.chat(customer, model="flat-model")).status_code == 200
    before = await standing(lasting_world, customer)

    answer = await lasting_world.chat(customer, model="flat-model")

    error = refused(answer, 429, code, kind=kind)
    assert re.search("[Tt]his API key's", error["message"])
    assert "cap raised" in error["message"]
    assert "$JTVO" not in error["message"]
    assert await standing(lasting_world, customer) == before == (10, 11 * USD - FLAT_CHARGE, 0)
    sibling = lasting_world.key_of(customer.account)
    assert (await lasting_world.chat(sibling, model="flat-model")).status_code == 200


async def test_a_flood_of_refusals_leaves_the_limits_as_they_were(lasting_world: World) -> None:
    customer = lasting_world.customer(requests=1)
    assert (await lasting_world.chat(customer)).status_code == 200

    answers = await asyncio.gather(*(lasting_world.chat(customer) for _ in range(60)))

    assert {answer.json()["error"]["code"] for answer in answers} == {"request_quota_exhausted"}
    assert (await standing(lasting_world, customer))[::2] == (0, 0)


def test_topping_up_is_mentioned_only_where_there_is_a_place_for_it() -> None:
    facts = QuotaFacts(Scope.ACCOUNT, 86_400, 11, 0, 0, 0, 0)

    error = wire_error(Refusal(Code.REQUEST_QUOTA_EXHAUSTED, quota=facts), 0, ErrorWording())

    assert "top up" not in error.body["error"]["message"]

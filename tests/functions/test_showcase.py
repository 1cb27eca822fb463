"""What the public pages are told: prices as they are charged, and days that end as real ones do."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import refused
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, World

from jatevo_account.handler import create_app

SUPPOSED: dict[str, Any] = {
    "tokens": 1100,
    "price_usd": "0.01",
    "model": MODEL["id"],
    "input_tokens": 1000,
    "output_tokens": 1000,
    "requests": 5,
}


@pytest.fixture
async def visitor(world: World, upstream: ScriptedUpstream) -> AsyncIterator[httpx.AsyncClient]:
    world.apply_catalogue(MODEL, base_url=upstream.base_url)
    transport = httpx.ASGITransport(create_app(world.gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


async def day(visitor: httpx.AsyncClient, **changes: int) -> Any:
    answer = await visitor.get("/account/v1/simulation", params={**SUPPOSED, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_visitor_sees_models_and_prices_and_no_pool(
    visitor: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    answer = await visitor.get("/account/v1/pricing")
    body = answer.json()

    assert [model["id"] for model in body["models"]] == [MODEL["id"]]
    assert body["models"][0]["pricing"]["input"]
    assert body["token"]["price_usd"] is None
    assert upstream.base_url not in answer.text
    assert "pool" not in answer.text


async def test_eleven_dollars_held_are_eleven_requests_and_eleven_dollars_a_day(visitor: httpx.AsyncClient) -> None:
    body = await day(visitor)

    assert body["value_usd"] == "11.00"
    assert body["limits"] == {"requests": 11, "budget_usd": "11.00"}
    assert body["used"]["requests"] == 5
    assert body["first_empty"] == "none"
    assert body["code"] is None


async def test_cheap_requests_run_out_of_requests(visitor: httpx.AsyncClient) -> None:
    body = await day(visitor, input_tokens=1, output_tokens=1, requests=20)

    assert (body["first_empty"], body["code"]) == ("requests", "request_quota_exhausted")
    assert (body["used"]["requests"], body["refused"]) == (11, 9)


async def test_dear_requests_run_out_of_dollars(visitor: httpx.AsyncClient) -> None:
    body = await day(visitor, input_tokens=3_000_000, output_tokens=3_000_000, requests=11)

    assert (body["first_empty"], body["code"]) == ("budget", "projected_cost_exceeds_budget")
    assert body["used"]["requests"] < 11


async def test_a_holding_below_the_minimum_earns_nothing(visitor: httpx.AsyncClient) -> None:
    body = await day(visitor, tokens=99)

    assert body["limits"] == {"requests": 0, "budget_usd": "0.00"}
    assert body["first_empty"] == "minimum"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens", "-1"),
        ("tokens", "1.5"),
        ("tokens", str(10**13)),
        ("price_usd", "1e3"),
        ("price_usd", "-1"),
        ("requests", "0"),
        ("input_tokens", "x"),
        ("output_tokens", "99999999999"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(visitor: httpx.AsyncClient, field: str, value: str) -> None:
    answer = await visitor.get("/account/v1/simulation", params={**SUPPOSED, field: value})

    refused(answer, 400, "invalid_value", param=field)


async def test_an_unknown_model_is_404(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.get("/account/v1/simulation", params={**SUPPOSED, "model": "none"})

    refused(answer, 404, "model_not_found", param="model")

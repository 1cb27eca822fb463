"""What is too long for a model: refused as it is, cut where the client asks for it, and counted before it is sent."""

from typing import Any

import pytest
from jatevo_testing.refusals import refused
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.world import Customer, World

LONG = "word " * 6000  # 30,000 bytes: estimated at 15,000 tokens, and the context is 8,192


@pytest.fixture
def customer(world: World, upstream: ScriptedUpstream) -> Customer:
    upstream.script = answering("noted", usage(10, 20))
    return world.customer()


async def ask(world: World, customer: Customer, path: str = "/v1/responses", **body: Any) -> Any:
    sent = {"model": "test-model", "max_output_tokens": 100, **body}
    return await world.client.post(path, json=sent, headers=customer.headers)


def messages(upstream: ScriptedUpstream) -> list[str]:
    return [message["content"] for message in upstream.asked[-1].body["messages"]]


async def test_the_oldest_turns_are_left_out_when_asked_for(
    world: World, customer: Customer, upstream: ScriptedUpstream
) -> None:
    first = await ask(world, customer, input=LONG[:8000])
    second = await ask(world, customer, input="two", previous_response_id=first.json()["id"])
    third = await ask(world, customer, input=LONG[:8000], previous_response_id=second.json()["id"], truncation="auto")
    assert third.status_code == 200
    assert third.json()["truncation"] == "auto"
    assert messages(upstream) == ["noted", "two", "noted", LONG[:8000]]
    await ask(world, customer, input="four", previous_response_id=third.json()["id"])
    assert len(messages(upstream)) == 7, "what was left out is kept all the same"


async def test_what_fits_is_not_cut(world: World, customer: Customer, upstream: ScriptedUpstream) -> None:
    first = await ask(world, customer, input="one")
    await ask(world, customer, input="two", previous_response_id=first.json()["id"], truncation="auto")
    assert messages(upstream) == ["one", "noted", "two"]


async def test_a_last_item_that_does_not_fit_by_itself_is_the_upstreams_to_refuse(
    world: World, customer: Customer, upstream: ScriptedUpstream
) -> None:
    async def too_long(_: Asked, connection: Connection) -> None:
        error = {"message": "maximum context length is 8192 tokens", "code": "context_length_exceeded"}
        await connection.reply(400, {"error": error})

    upstream.script = too_long
    answer = await ask(world, customer, input=LONG, truncation="auto")
    assert refused(answer, 400, "context_length_exceeded", param="input")


async def test_prior_turns_count_in_the_projected_cost(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("noted", usage(10, 20))
    customer = world.customer()
    first = await ask(world, customer, input=LONG[:8000])
    short = await ask(world, customer, input="two")
    longer = await ask(world, customer, input="two", previous_response_id=first.json()["id"])
    assert (short.status_code, longer.status_code) == (200, 200)
    _, alone, continued = await world.ledger(customer)
    assert continued.reserved_nano_usd - alone.reserved_nano_usd > 3_000_000  # 4,000 tokens at a dollar a million


async def test_tokens_are_counted_free_of_charge_and_said_to_be_estimated(
    world: World, customer: Customer, upstream: ScriptedUpstream
) -> None:
    first = await ask(world, customer, input="one")
    upstream.asked.clear()
    alone = await ask(world, customer, "/v1/responses/input_tokens", input="two")
    continued = await ask(
        world, customer, "/v1/responses/input_tokens", input="two", previous_response_id=first.json()["id"]
    )
    assert (alone.status_code, alone.json()["object"], alone.json()["estimated"]) == (
        200,
        "response.input_tokens",
        True,
    )
    assert continued.json()["input_tokens"] > alone.json()["input_tokens"] > 0
    assert len(await world.ledger(customer)) == 1
    assert not upstream.asked
    assert alone.headers["x-ratelimit-remaining-requests"] == "10"


async def test_tokens_are_counted_exactly_where_the_upstream_can(world: World, upstream: ScriptedUpstream) -> None:
    async def tokenizer(asked: Asked, connection: Connection) -> None:
        await connection.reply(200, {"prompt": "x"} if "template" in asked.path else {"tokens": [1] * 42})

    upstream.script = tokenizer
    world.apply_catalogue(base_url=upstream.base_url, tokenize_url=upstream.base_url.removesuffix("/v1"))
    answer = await ask(world, world.customer(), "/v1/responses/input_tokens", input="hello")
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 42, "estimated": False}


async def test_counting_refuses_what_asking_would(world: World, customer: Customer) -> None:
    path = "/v1/responses/input_tokens"
    assert refused(await ask(world, customer, path, input="x", model="none"), 404, "model_not_found", param="model")
    unknown = await ask(world, customer, path, input="x", previous_response_id="resp_unknown")
    assert refused(unknown, 400, "previous_response_not_found", param="previous_response_id")

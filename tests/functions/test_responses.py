"""What a client of `POST /v1/responses` gets over an upstream that speaks chat, and what its account is charged."""

from typing import Any

import httpx
import pytest
from jatevo_testing.responses import check_response, check_stream
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import Customer, World

from jatevo.domain.windows import unbalanced_nano_usd


async def respond(world: World, customer: Customer, **body: Any) -> httpx.Response:
    asked = {"model": "test-model", "input": "hello", **body}
    return await world.client.post("/v1/responses", json=asked, headers=customer.headers)


async def test_an_answer_is_charged_usage_times_price_times_margin(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer(margin_bps=1000)

    answer = await respond(world, customer, max_output_tokens=100, instructions="be kind", metadata={"a": "b"})

    assert answer.status_code == 200
    body = check_response(answer.json())
    assert body["output"][0]["content"][0]["text"] == "hello there"
    assert (body["model"], body["status"]) == ("test-model", "completed")
    assert (body["instructions"], body["metadata"], body["max_output_tokens"]) == ("be kind", {"a": "b"}, 100)
    assert body["usage"]["cost_usd"] == "0.000055"
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (10, 20)
    window = await world.window(customer)
    assert window.settled_nano_usd == 55_000
    assert unbalanced_nano_usd(window) == 0
    assert answer.headers["x-ratelimit-remaining-requests"] == "10"
    assert answer.headers["x-jatevo-budget-remaining-usd"] == "10.999945"
    assert "secret" not in answer.text + str(answer.headers)
    [asked] = upstream.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body["max_tokens"] == 100
    assert asked.body["messages"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hello"},
    ]


async def test_a_stream_tells_every_event_and_ends_with_the_response(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("one two three", usage(10, 20))
    customer = world.customer(margin_bps=0)

    answer = await respond(world, customer, stream=True)

    streamed = check_stream(answer.content)
    assert streamed.kinds[2:4] == ["response.output_item.added", "response.content_part.added"]
    assert streamed.kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert streamed.text == "one two three "
    assert streamed.last["usage"]["cost_usd"] == "0.00005"
    assert b"[DONE]" not in answer.content
    assert upstream.asked[0].body["max_tokens"] == 512
    assert "secret" not in answer.text
    window = await world.window(customer)
    assert window.settled_nano_usd == 50_000
    assert not window.open


@pytest.mark.parametrize("stream", [True, False])
async def test_a_next_turn_builds_upon_the_last_and_pays_for_it(
    world: World, upstream: ScriptedUpstream, *, stream: bool
) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer()
    first = await respond(world, customer, stream=stream)
    response = check_stream(first.content).last if stream else first.json()

    second = await respond(world, customer, input="and?", previous_response_id=response["id"])

    assert check_response(second.json())["previous_response_id"] == response["id"]
    assert [message["content"].strip() for message in upstream.asked[1].body["messages"]] == [
        "hello",
        "hello there",
        "and?",
    ]
    entries = await world.ledger(customer)
    assert entries[1].reserved_nano_usd > entries[0].reserved_nano_usd


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reseller_s_customer_sees_the_reseller_s_price(
    world: World, upstream: ScriptedUpstream, *, stream: bool
) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    reseller = world.customer(margin_bps=0)
    customer = world.key_of(reseller.account, reseller_margin_bps=5000)

    answer = await respond(world, customer, stream=stream)

    response = check_stream(answer.content).last if stream else check_response(answer.json())
    assert response["usage"]["cost_usd"] == "0.000075"
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == 50_000

"""What a client of `POST /v1/chat/completions` gets, and what its account is charged."""

import json

import pytest
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import World

from jatevo.domain.windows import unbalanced_nano_usd


async def test_plain_chat_is_charged_usage_times_price_times_margin(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer(margin_bps=1000)

    answer = await world.chat(customer, max_tokens=100)

    assert answer.status_code == 200
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == "hello there"
    assert body["model"] == "test-model"
    charge = (10 * 1_000 + 20 * 2_000) * 11 // 10
    assert body["usage"]["cost_usd"] == "0.000055"
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == charge
    window = await world.window(customer)
    assert window.settled_nano_usd == charge
    assert window.requests_left == 10
    assert not window.open
    assert unbalanced_nano_usd(window) == 0
    assert answer.headers["x-ratelimit-remaining-requests"] == "10"
    assert answer.headers["x-jatevo-budget-remaining-usd"] == "10.999945"
    assert "secret" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_stream_ends_with_usage_only_if_asked(
    world: World, upstream: ScriptedUpstream, *, include_usage: bool
) -> None:
    upstream.script = answering("one two three", usage(10, 20))
    customer = world.customer(margin_bps=0)
    options = {"stream_options": {"include_usage": True}} if include_usage else {}

    answer = await world.chat(customer, stream=True, **options)

    frames = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert text == "one two three "
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert [shown["cost_usd"] for shown in usages] == (["0.00005"] if include_usage else [])
    assert upstream.asked[0].body["stream_options"] == {"include_usage": True}
    assert upstream.asked[0].body["max_tokens"] == 512
    assert "secret" not in answer.text
    window = await world.window(customer)
    assert window.settled_nano_usd == 50_000
    assert not window.open

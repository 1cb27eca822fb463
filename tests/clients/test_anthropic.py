"""The Anthropic SDK for Python: every way to make a message, and what the ledger says of each."""

from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic.types import Message, MessageParam, ToolParam
from jatevo_testing.clients import Shop, said
from jatevo_testing.tool_scripts import calling

TOOL: ToolParam = {
    "name": "look_up",
    "description": "Looks the weather up.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO: MessageParam = {"role": "user", "content": "Say hello."}


@pytest.fixture
async def sdk(shop: Shop) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=shop.stack.url, api_key=shop.key, max_retries=0) as client:
        yield client


def reported(*messages: Message) -> list[tuple[int, int]]:
    counted = [message.usage for message in messages]
    return [
        (
            usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0),
            usage.output_tokens,
        )
        for usage in counted
    ]


@pytest.mark.parametrize("model", ["scripted", "smollm2", "smollm2-native"])
async def test_a_message_says_what_the_ledger_says(shop: Shop, sdk: anthropic.AsyncAnthropic, model: str) -> None:
    shop.upstream.script = said("hello there")
    message = await sdk.messages.create(model=model, max_tokens=32, messages=[HELLO])
    assert message.content[0].type == "text"
    assert message.content[0].text
    assert message.usage.model_extra is not None
    assert float(message.usage.model_extra["cost_usd"]) > 0
    assert shop.charged() == reported(message)


@pytest.mark.parametrize("model", ["scripted", "smollm2", "smollm2-native"])
async def test_a_stream_ends_with_what_was_streamed(shop: Shop, sdk: anthropic.AsyncAnthropic, model: str) -> None:
    shop.upstream.script = said("hello there")
    async with sdk.messages.stream(model=model, max_tokens=32, messages=[HELLO], system="Be brief.") as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert final.content[0].type == "text"
    assert final.content[0].text == text != ""
    assert shop.charged() == reported(final)


async def test_a_tool_goes_round(shop: Shop, sdk: anthropic.AsyncAnthropic) -> None:
    shop.upstream.script = calling("look_up", {"city": "Bern"})
    asked: list[MessageParam] = [{"role": "user", "content": "Weather?"}]
    async with sdk.messages.stream(model="scripted", max_tokens=99, messages=asked, tools=[TOOL]) as stream:
        first = await stream.get_final_message()
    assert first.stop_reason == "tool_use"
    [use] = first.content
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("look_up", {"city": "Bern"})
    asked += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}]},
    ]
    second = await sdk.messages.create(model="scripted", max_tokens=99, messages=asked, tools=[TOOL])
    assert second.content[0].type == "text"
    assert second.content[0].text.strip() == "it says: rain"
    assert shop.charged() == reported(first, second)


async def test_tokens_are_counted_as_the_model_counts_them(shop: Shop, sdk: anthropic.AsyncAnthropic) -> None:
    counted = await sdk.messages.count_tokens(model="smollm2", messages=[HELLO])
    message = await sdk.messages.create(model="smollm2", max_tokens=4, messages=[HELLO])
    assert [(counted.input_tokens, message.usage.output_tokens)] == reported(message) == shop.charged()


async def test_a_token_may_come_as_bearer_and_errors_are_the_sdks_own(shop: Shop) -> None:
    shop.customer(requests_per_day=1)
    shop.upstream.script = said("hello there")
    async with anthropic.AsyncAnthropic(base_url=shop.stack.url, api_key=None, auth_token=shop.key) as sdk:
        await sdk.messages.create(model="scripted", max_tokens=9, messages=[HELLO])
        with pytest.raises(anthropic.RateLimitError, match="quota of 1 request"):
            await sdk.messages.create(model="scripted", max_tokens=9, messages=[HELLO])
        with pytest.raises(anthropic.NotFoundError):
            await sdk.messages.create(model="none", max_tokens=9, messages=[HELLO])
        with pytest.raises(anthropic.AuthenticationError):
            await sdk.with_options(auth_token="sk-no").messages.create(model="scripted", max_tokens=9, messages=[HELLO])
    assert len(shop.upstream.asked) == 1, "no quota error is retried"

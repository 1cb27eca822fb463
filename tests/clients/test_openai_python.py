"""The OpenAI SDK for Python: every way to make a response, and what the ledger says of each."""

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from jatevo_testing.clients import Shop, said
from jatevo_testing.tool_scripts import calling
from openai.types.responses import Response
from pydantic import BaseModel

TOOL: Any = {
    "type": "function",
    "name": "look_up",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
async def sdk(shop: Shop) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=shop.base_url, api_key=shop.key, max_retries=0) as client:
        yield client


def reported(*answers: Response) -> list[tuple[int, int]]:
    assert all(answer.usage for answer in answers)
    return [(answer.usage.input_tokens, answer.usage.output_tokens) for answer in answers if answer.usage]


@pytest.mark.parametrize("model", ["scripted", "smollm2", "smollm2-native"])
async def test_a_response_says_what_the_ledger_says(shop: Shop, sdk: openai.AsyncOpenAI, model: str) -> None:
    shop.upstream.script = said("hello there")
    answer = await sdk.responses.create(model=model, input="Say hello.", max_output_tokens=64, temperature=0)
    assert answer.output_text
    assert shop.charged() == reported(answer)


@pytest.mark.parametrize("model", ["scripted", "smollm2", "smollm2-native"])
async def test_a_stream_ends_with_what_was_streamed(shop: Shop, sdk: openai.AsyncOpenAI, model: str) -> None:
    shop.upstream.script = said("hello there")
    text = ""
    async with sdk.responses.stream(model=model, input="Say hello.", max_output_tokens=64, temperature=0) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
        final = await stream.get_final_response()
    assert final.output_text == text != ""
    assert shop.charged() == reported(final)


async def test_an_answer_is_parsed_into_the_type_asked_for(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = said('{"city": "Bern", "degrees": 7}')
    answer = await sdk.responses.parse(model="scripted", input="Weather?", text_format=Weather)
    assert answer.output_parsed == Weather(city="Bern", degrees=7)
    assert shop.upstream.asked[0].body["response_format"]["json_schema"]["name"] == "Weather"
    assert shop.charged() == reported(answer)


async def test_a_tool_call_goes_round_by_the_previous_response(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = calling("look_up", {"city": "Bern"})
    first = await sdk.responses.create(model="scripted", input="Weather?", tools=[TOOL])
    [call] = first.output
    assert call.type == "function_call"
    second = await sdk.responses.create(
        model="scripted",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "rain"}],
        tools=[TOOL],
    )
    assert second.output_text.strip() == "it says: rain"
    assert [message["role"] for message in shop.upstream.asked[-1].body["messages"]] == ["user", "assistant", "tool"]
    assert shop.charged() == reported(first, second)


async def test_a_tool_call_is_streamed_and_parsed(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = calling("look_up", {"city": "Bern"})
    async with sdk.responses.stream(model="scripted", input="Weather?", tools=[TOOL]) as stream:
        final = await stream.get_final_response()
    [call] = final.output
    assert call.type == "function_call"
    assert call.parsed_arguments == {"city": "Bern"}


async def test_three_turns_are_one_conversation_to_the_model(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = said("noted")
    answers = [await sdk.responses.create(model="scripted", instructions="Be brief.", input="one")]
    for text in ("two", "three"):
        answers.append(await sdk.responses.create(model="scripted", input=text, previous_response_id=answers[-1].id))
    sent = shop.upstream.asked[-1].body["messages"]
    assert [(message["role"], _text(message)) for message in sent] == [
        ("user", "one"),
        ("assistant", "noted"),
        ("user", "two"),
        ("assistant", "noted"),
        ("user", "three"),
    ], "instructions are not carried over"
    assert shop.charged() == reported(*answers)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


async def test_what_is_stored_can_be_got_listed_and_deleted(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = said("hello")
    made = await sdk.responses.create(model="scripted", input="hi", metadata={"a": "b"})
    assert await sdk.responses.retrieve(made.id) == made
    assert [item.content[0].text async for item in sdk.responses.input_items.list(made.id)] == ["hi"]  # type: ignore[union-attr, index]
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        await sdk.responses.cancel(made.id)
    await sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as gone:
        await sdk.responses.create(model="scripted", input="hi", previous_response_id=made.id)
    assert gone.value.code == "previous_response_not_found"
    assert len(shop.charged()) == 1


async def test_a_conversation_grows_with_its_responses(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = said("noted")
    talk = await sdk.conversations.create(items=[{"type": "message", "role": "user", "content": "I am Ada."}])
    for text in ("one", "two"):
        answer = await sdk.responses.create(model="scripted", input=text, conversation=talk.id)
        assert answer.conversation is not None
        assert answer.conversation.id == talk.id
    assert [item.role async for item in sdk.conversations.items.list(talk.id, order="asc")] == [  # type: ignore[union-attr]
        "user",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert len(shop.upstream.asked[-1].body["messages"]) == 4
    await sdk.conversations.delete(talk.id)
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.create(model="scripted", input="three", conversation=talk.id)


async def test_nothing_is_stored_unless_it_is_to_be(shop: Shop, sdk: openai.AsyncOpenAI) -> None:
    shop.upstream.script = said("hello")
    made = await sdk.responses.create(model="scripted", input="hi", store=False)
    assert made.model_extra is not None
    assert made.model_extra["store"] is False
    with pytest.raises(openai.NotFoundError):
        await sdk.responses.retrieve(made.id)

"""The OpenAI SDK for Python speaking Responses, over real sockets: what works with OpenAI works here."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import openai
import pydantic
import pytest
from jatevo_testing.bench import Bench, bench_over
from jatevo_testing.served import served
from jatevo_testing.streams import DONE, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, answering, chunk, usage
from openai.types.responses import ResponseInputParam, ToolParam

COST = "0.00005"  # 10 tokens in, 20 out, no margin
LOOK_UP: ToolParam = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


class City(pydantic.BaseModel):
    name: str
    people: int


@dataclass
class Shop:
    """A gateway, and SDK clients of it."""

    bench: Bench
    base_url: str
    clients: AsyncExitStack

    async def sdk(self, script: Script) -> openai.AsyncOpenAI:
        """Return the SDK as anyone sets it up, over an upstream that behaves as `script`."""
        self.bench.upstream.script = script
        client = openai.AsyncOpenAI(api_key=self.bench.customer().secret, base_url=f"{self.base_url}/v1")
        return await self.clients.enter_async_context(client)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shop(dynoxide: str) -> AsyncIterator[Shop]:
    async with bench_over(dynoxide) as bench, AsyncExitStack() as clients:
        base_url = await clients.enter_async_context(served(bench.world.app))
        yield Shop(bench, base_url, clients)


async def call_then_answer(asked: Asked, connection: Connection) -> None:
    """Call a tool; once its result is there, answer with it."""
    last = asked.body["messages"][-1]
    if last["role"] == "tool":
        await answering(f"it says {last['content']}", usage(10, 20))(asked, connection)
        return
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Bern"}'}}
    delta = {"role": "assistant", "tool_calls": [{"index": 0, **call}]}
    frame = event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    end = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    pieces = (frame, end, event(chunk(None, counted=usage(10, 20))), DONE)
    if asked.body["stream"]:
        await sending(*pieces)(asked, connection)
    else:
        await sending(b"".join(pieces))(asked, connection)


async def test_a_response_carries_its_text_usage_and_cost(shop: Shop) -> None:
    client = await shop.sdk(answering("hello there", usage(10, 20)))

    response = await client.responses.create(model="test-model", input="hi", instructions="be kind")

    assert response.output_text == "hello there"
    assert (response.status, response.model, response.error) == ("completed", "test-model", None)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (10, 20, 30)
    assert response.usage.model_extra == {"cost_usd": COST}


async def test_a_plain_stream_ends_completed(shop: Shop) -> None:
    client = await shop.sdk(answering("one two three", usage(10, 20)))

    stream = await client.responses.create(model="test-model", input="hi", stream=True)
    events = [event async for event in stream]

    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "one two three "
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.model_extra == {"cost_usd": COST}


async def test_the_stream_helper_puts_everything_together(shop: Shop) -> None:
    client = await shop.sdk(call_then_answer)

    async with client.responses.stream(model="test-model", input="weather?", tools=[LOOK_UP]) as stream:
        snapshots = [event.snapshot async for event in stream if event.type == "response.function_call_arguments.delta"]
        response = await stream.get_final_response()

    [call] = response.output
    assert call.type == "function_call"
    assert (call.name, call.call_id, call.arguments) == ("look_up", "call_1", '{"city": "Bern"}')
    assert snapshots[-1] == '{"city": "Bern"}'


@pytest.mark.parametrize("by_id", [True, False])
async def test_a_tool_goes_round(shop: Shop, *, by_id: bool) -> None:
    client = await shop.sdk(call_then_answer)
    asked: ResponseInputParam = [{"role": "user", "content": "weather?"}]
    first = await client.responses.create(model="test-model", input=asked, tools=[LOOK_UP])
    [call] = first.output
    assert call.type == "function_call"
    output: ResponseInputParam = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]

    if by_id:
        second = await client.responses.create(
            model="test-model", input=output, tools=[LOOK_UP], previous_response_id=first.id
        )
    else:
        everything = [*asked, *(item.model_dump(exclude_none=True) for item in first.output), *output]
        second = await client.responses.create(
            model="test-model",
            input=everything,  # type: ignore[arg-type]
            tools=[LOOK_UP],
            store=False,
        )

    assert second.output_text == "it says sunny"
    assert [message["role"] for message in shop.bench.upstream.asked[-1].body["messages"]] == [
        "user",
        "assistant",
        "tool",
    ]


async def test_an_answer_is_parsed_by_its_schema(shop: Shop) -> None:
    client = await shop.sdk(answering(json.dumps({"name": "Bern", "people": 134_000}), usage(10, 20)))

    response = await client.responses.parse(model="test-model", input="which city?", text_format=City)

    assert response.output_parsed == City(name="Bern", people=134_000)
    form = shop.bench.upstream.asked[-1].body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["name"] == "City"
    assert form["json_schema"]["strict"] is True


async def test_a_broken_stream_is_an_error_after_what_came(shop: Shop) -> None:
    client = await shop.sdk(sending(event(chunk("hello ")), then="hang_up"))

    stream = await client.responses.create(model="test-model", input="hi", stream=True)
    kinds: list[str] = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012 - it breaks while it is read
        async for told in stream:
            kinds.append(told.type)  # noqa: PERF401 - what came before the break counts

    assert kinds[-1] == "response.failed"
    assert "response.completed" not in kinds


async def test_refusals_are_the_errors_the_sdk_knows(shop: Shop) -> None:
    client = await shop.sdk(answering("x", usage(10, 20)))

    with pytest.raises(openai.BadRequestError) as wrong:
        await client.responses.create(model="test-model", input="hi", background=True)
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="no-such-model", input="hi")

    assert wrong.value.param == "background"
    assert wrong.value.code == "unsupported_parameter"

"""The OpenAI SDK for Python as a client, over real sockets: what works with OpenAI works here."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import openai
import pytest
from jatevo_testing.bench import Bench, bench_over
from jatevo_testing.served import served
from jatevo_testing.streams import DONE, HELLO, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, answering, chunk, completion, to_the_cap, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import Customer
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from jatevo.adapters.http.asgi import AsgiApp, Message, Receive, Scope, Send
from jatevo.domain.ledger import Outcome

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
COST = "0.00005"  # 10 tokens in, 20 out, no margin
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
]


class Counting:
    """An app, and with which status it answered each request."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.answered: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered.append(message["status"])
            await send(message)

        await self._app(scope, receive, counted)


@dataclass
class Shop:
    """A gateway that counts what comes, and SDK clients of it."""

    bench: Bench
    counting: Counting
    base_url: str
    clients: AsyncExitStack

    async def sdk(self, script: Script = to_the_cap, customer: Customer | None = None) -> openai.AsyncOpenAI:
        """Return the SDK as anyone sets it up, over an upstream that behaves as `script`."""
        self.bench.upstream.script = script
        key = (customer or self.bench.customer()).secret
        client = openai.AsyncOpenAI(api_key=key, base_url=f"{self.base_url}/v1")
        return await self.clients.enter_async_context(client)

    async def refused(self) -> bool:
        """Whether a request has been turned away."""
        return 429 in self.counting.answered


@asynccontextmanager
async def shop_over(endpoint_url: str) -> AsyncIterator[Shop]:
    async with bench_over(endpoint_url) as bench, AsyncExitStack() as clients:
        counting = Counting(bench.world.app)
        base_url = await clients.enter_async_context(served(counting))
        yield Shop(bench, counting, base_url, clients)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def lasting_shop(dynoxide: str) -> AsyncIterator[Shop]:
    async with shop_over(dynoxide) as made:
        yield made


@pytest.fixture
async def shop(lasting_shop: Shop) -> Shop:
    lasting_shop.counting.answered.clear()
    lasting_shop.bench.upstream.asked.clear()
    return lasting_shop


async def test_a_plain_chat_carries_its_usage_and_its_cost(shop: Shop) -> None:
    client = await shop.sdk(answering("hello there", usage(10, 20)))

    answer = await client.chat.completions.create(model="test-model", messages=HI)

    assert answer.choices[0].message.content == "hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "test-model"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (10, 20, 30)
    assert answer.usage.model_extra == {"cost_usd": COST}


async def test_a_stream_without_usage_has_none(shop: Shop) -> None:
    client = await shop.sdk(answering("one two three", usage(10, 20)))

    stream = await client.chat.completions.create(model="test-model", messages=HI, stream=True)
    chunks = [piece async for piece in stream]

    assert "".join(piece.choices[0].delta.content or "" for piece in chunks) == "one two three "
    assert all(piece.usage is None and piece.choices for piece in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_a_stream_with_usage_ends_with_it_and_its_cost(shop: Shop) -> None:
    client = await shop.sdk(answering("one two three", usage(10, 20)))

    stream = await client.chat.completions.create(
        model="test-model", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [piece async for piece in stream]

    assert all(piece.usage is None for piece in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 30
    assert last.usage.model_extra == {"cost_usd": COST}


async def call_then_answer(asked: Asked, connection: Connection) -> None:
    """Call a tool; once its result is there, answer with it."""
    last = asked.body["messages"][-1]
    if last["role"] == "tool":
        await answering(f"it says {last['content']}", usage(10, 20))(asked, connection)
        return
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Bern"}'}}
    if asked.body["stream"]:
        delta = {"role": "assistant", "tool_calls": [{"index": 0, **call}]}
        frame = event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        end = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        await sending(frame, end, event(chunk(None, counted=usage(10, 20))), DONE)(asked, connection)
        return
    answer = completion("", usage(10, 20))
    answer["choices"][0] |= {
        "message": {"role": "assistant", "content": None, "tool_calls": [call]},
        "finish_reason": "tool_calls",
    }
    await connection.reply(200, answer)


async def test_a_tool_call_goes_round(shop: Shop) -> None:
    client = await shop.sdk(call_then_answer)

    first = await client.chat.completions.create(model="test-model", messages=HI, tools=TOOLS)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    [call] = message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Bern"}
    result: ChatCompletionMessageParam = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    said: ChatCompletionMessageParam = message.model_dump(exclude_none=True)  # type: ignore[assignment]
    second = await client.chat.completions.create(model="test-model", messages=[*HI, said, result], tools=TOOLS)

    assert second.choices[0].message.content == "it says rain"
    sent = shop.bench.upstream.asked[-1].body
    assert [part["role"] for part in sent["messages"]] == ["user", "assistant", "tool"]
    assert sent["messages"][1]["tool_calls"][0]["id"] == "call_1"


async def test_a_streamed_tool_call_is_put_together_by_the_sdk(shop: Shop) -> None:
    client = await shop.sdk(call_then_answer)

    async with client.chat.completions.stream(model="test-model", messages=HI, tools=TOOLS) as stream:
        final = await stream.get_final_completion()

    assert final.choices[0].message.tool_calls is not None
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city": "Bern"}'


async def test_a_wrong_key_is_an_authentication_error(shop: Shop) -> None:
    await shop.sdk()
    async with openai.AsyncOpenAI(api_key="sk-clb-wrong", base_url=f"{shop.base_url}/v1") as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="test-model", messages=HI)

    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id is not None
    assert len(shop.counting.answered) == 1


async def test_a_forbidden_model_is_a_permission_error_and_an_unknown_one_not_found(shop: Shop) -> None:
    client = await shop.sdk(customer=shop.bench.customer(models=frozenset({"other"})))

    with pytest.raises(openai.PermissionDeniedError) as denied:
        await client.chat.completions.create(model="test-model", messages=HI)
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="gpt-unknown", messages=HI)

    assert (denied.value.code, denied.value.param) == ("model_not_allowed", "model")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert shop.counting.answered == [403, 404]


async def test_a_field_that_is_not_served_is_a_bad_request_that_names_it(shop: Shop) -> None:
    client = await shop.sdk()

    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="test-model", messages=HI, service_tier="priority")

    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "service_tier")
    assert "service tier" in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"requests": 0}, "request_quota_exhausted"),
        ({"budget_nano_usd": 0}, "budget_exhausted"),
        ({"budget_nano_usd": 50}, "projected_cost_exceeds_budget"),
    ],
)
async def test_an_empty_limit_is_a_rate_limit_error_and_never_retried(
    shop: Shop, limits: dict[str, int], code: str, *, stream: bool
) -> None:
    client = await shop.sdk(customer=shop.bench.customer(**limits))

    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="test-model", messages=HI, stream=stream)

    assert (caught.value.code, caught.value.type) == (code, "insufficient_quota")
    assert len(shop.counting.answered) == 1
    assert not shop.bench.upstream.asked


async def test_too_many_at_once_is_retried_by_the_sdk_and_then_served(shop: Shop) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waiting(request: Asked, connection: Connection) -> None:
        asked.set()
        await go_on.wait()
        await to_the_cap(request, connection)

    client = await shop.sdk(waiting, shop.bench.customer(concurrency=1))
    first = asyncio.create_task(client.chat.completions.create(model="test-model", messages=HI))
    await asked.wait()
    second = asyncio.create_task(client.chat.completions.create(model="test-model", messages=HI))
    await eventually(shop.refused)
    go_on.set()

    assert (await first).choices
    assert (await second).choices
    assert shop.counting.answered == [429, 200, 200]


async def hang_up(_: Asked, connection: Connection) -> None:
    await connection.hang_up()


async def test_what_may_have_been_billed_is_not_sent_again_by_the_sdk(shop: Shop) -> None:
    customer = shop.bench.customer()
    client = await shop.sdk(hang_up, customer)

    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="test-model", messages=HI)

    assert (caught.value.status_code, caught.value.code) == (502, "upstream_error")
    assert shop.counting.answered == [502]
    assert len(shop.bench.upstream.asked) == 1


async def test_what_was_refused_upstream_is_sent_again_by_the_sdk_and_costs_nothing(shop: Shop) -> None:
    async def unwell(_: Asked, connection: Connection) -> None:
        await connection.reply(500, b"secret")

    customer = shop.bench.customer()
    client = await shop.sdk(unwell, customer)

    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="test-model", messages=HI)

    assert shop.counting.answered == [502, 502, 502]
    assert {entry.outcome for entry in await shop.bench.world.ledger(customer)} == {Outcome.RELEASED}
    assert (await shop.bench.world.window(customer)).requests_left == 11


async def test_a_stream_that_breaks_raises_and_never_looks_complete(shop: Shop) -> None:
    client = await shop.sdk(sending(HELLO, then="hang_up"))
    stream = await client.chat.completions.create(model="test-model", messages=HI, stream=True)
    text = ""

    async def read() -> None:
        nonlocal text
        async for piece in stream:
            text += piece.choices[0].delta.content or ""

    with pytest.raises(openai.APIError) as caught:
        await read()

    assert text == "hello "
    assert "broke off" in caught.value.message
    assert len(shop.counting.answered) == 1


async def test_raw_responses_show_both_counters(shop: Shop) -> None:
    client = await shop.sdk(answering("hello", usage(10, 20)))

    raw = await client.chat.completions.with_raw_response.create(model="test-model", messages=HI)

    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-limit-requests"] == "11"
    assert raw.headers["x-ratelimit-remaining-requests"] == "10"
    assert raw.headers["x-ratelimit-reset-requests"].endswith("s")
    assert raw.headers["x-jatevo-budget-limit-usd"] == "11.00"
    assert raw.headers["x-jatevo-budget-remaining-usd"] == "10.99995"
    assert raw.headers["x-jatevo-reset-at"].endswith("T00:00:00Z")
    assert raw.parse().choices[0].message.content == "hello"


async def test_what_other_gateways_refuse_is_taken_here(shop: Shop) -> None:
    client = await shop.sdk()

    answer = await client.chat.completions.create(
        model="test-model",
        messages=[{"role": "developer", "content": "be brief"}, *HI],
        max_tokens=50,
        max_completion_tokens=40,
        user="someone",
        metadata={"trace": "1"},
        store=False,
        service_tier="auto",
    )

    assert answer.choices
    sent = shop.bench.upstream.asked[0].body
    assert sent["max_tokens"] == 40
    assert sent["messages"][0]["role"] == "developer"
    assert not sent.keys() & {"metadata", "store", "service_tier", "max_completion_tokens"}


async def test_the_plain_sdk_works_as_well(shop: Shop) -> None:
    client = await shop.sdk(answering("one two", usage(10, 20)))

    def ask() -> str:
        with openai.OpenAI(api_key=client.api_key, base_url=str(client.base_url)) as plain:
            stream = plain.chat.completions.create(model="test-model", messages=HI, stream=True)
            return "".join(piece.choices[0].delta.content or "" for piece in stream)

    assert await asyncio.to_thread(ask) == "one two "

"""Anthropic's Messages over both engines: what a client gets, what the upstream is asked, and what it costs."""

import json
from typing import Any

import httpx
import pytest
from jatevo_testing.messages import StreamedMessage, check_message, check_message_stream
from jatevo_testing.served import seen_to_the_end, served
from jatevo_testing.streams import DONE, event, sending
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, completion, usage
from jatevo_testing.world import MODEL, Customer, World

from jatevo.domain.windows import unbalanced_nano_usd

TOOL: dict[str, Any] = {"name": "look_up", "description": "Looks up.", "input_schema": {"type": "object"}}
THINKING = {"type": "adaptive"}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
SEEN = "data:image/png;base64,AA=="


@pytest.fixture
async def both(world: World, upstream: ScriptedUpstream) -> World:
    """A model over each engine."""
    pools = [{"id": wire, "base_url": upstream.base_url, "wire": [wire]} for wire in ("chat", "responses")]
    sold = {"price": {**MODEL["price"], "image_input": "1.00"}, "estimate": {"image_tokens": 100}}
    models = [
        {**MODEL, **sold, "id": pool["id"], "routes": [{"pool": pool["id"], "model": "secret"}]} for pool in pools
    ]
    world.put_catalogue({"pools": pools, "models": models})
    return world


async def ask(world: World, customer: Customer, **body: Any) -> httpx.Response:
    said = [{"role": "user", "content": "hello"}]
    asked = {"model": "test-model", "max_tokens": 100, "messages": said, **body}
    return await world.client.post("/v1/messages", json=asked, headers={"x-api-key": customer.secret})


async def message(world: World, customer: Customer | None = None, **body: Any) -> dict[str, Any]:
    answer = await ask(world, customer or world.customer(), **body)
    assert answer.status_code == 200, answer.text
    return check_message(answer.json())


async def streamed(world: World, customer: Customer | None = None, **body: Any) -> StreamedMessage:
    answer = await ask(world, customer or world.customer(), stream=True, **body)
    assert answer.status_code == 200, answer.text
    return check_message_stream(answer.content)


def delta(finish: str | None = None, **members: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": members, "finish_reason": finish}]})


def call(arguments: str, index: int = 0, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
    return {"tool_calls": [{"index": index, "function": function, **more}]}


def counted(**details: Any) -> bytes:
    return event({"choices": [], "usage": usage(10, 20, **details)})


def native(*items: dict[str, Any], **more: Any) -> bytes:
    response = {"output": list(items), "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}, **more}
    return event({"type": "response.completed", "response": response})


async def test_a_message_is_charged_like_any_request(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = world.customer(margin_bps=1000)

    answer = await ask(world, customer, system=[{"type": "text", "text": "be kind"}], temperature=0.5, top_p=0.9)

    body = check_message(answer.json())
    assert body["content"] == [{"type": "text", "text": "hello there"}]
    assert (body["model"], body["stop_reason"], body["stop_sequence"]) == ("test-model", "end_turn", None)
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (10, 20)
    assert body["usage"]["cost_usd"] == "0.000055"
    window = await world.window(customer)
    assert window.settled_nano_usd == 55_000
    assert unbalanced_nano_usd(window) == 0
    assert answer.headers["x-ratelimit-remaining-requests"] == "10"
    assert answer.headers["x-jatevo-budget-remaining-usd"] == "10.999945"
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == "req_" + body["id"].removeprefix("msg_")
    assert "secret" not in answer.text + str(answer.headers)
    [asked] = upstream.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "secret-upstream-model",
        "max_tokens": 100,
        "stream": False,
        "temperature": 0.5,
        "top_p": 0.9,
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}],
    }


async def test_counts_of_caches_add_up_to_what_was_charged(world: World, upstream: ScriptedUpstream) -> None:
    details = {"cached_tokens": 6, "cache_creation_tokens": 1}
    upstream.script = sending(
        delta(content="hi", finish="stop"),
        counted(prompt_tokens_details=details, completion_tokens_details={"reasoning_tokens": 5}),
        DONE,
    )
    customer = world.customer()

    told = (await streamed(world, customer)).message["usage"]

    assert (told["input_tokens"], told["cache_read_input_tokens"], told["cache_creation_input_tokens"]) == (3, 6, 1)
    assert told["output_tokens_details"] == {"thinking_tokens": 5}
    [entry] = await world.ledger(customer)
    assert (entry.usage.input_tokens, entry.usage.cache_read_input_tokens) == (10, 6)


async def test_a_stream_has_anthropics_events_in_their_order(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("one two", usage(10, 20))
    customer = world.customer(margin_bps=0)

    result = await streamed(world, customer)

    assert result.kinds == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert result.message["content"] == [{"type": "text", "text": "one two "}]
    assert result.message["usage"]["cost_usd"] == "0.00005"
    assert not (await world.window(customer)).open


TEXT = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "look:"}]}
CALLED = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"a":1}'}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
USED = {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"a": 1}}

CASES: dict[str, tuple[dict[str, Any], bytes, bytes, list[dict[str, Any]], str]] = {
    "words, then a call": (
        {"tools": [TOOL]},
        delta(content="look:") + delta(**call('{"a"', id="c1", name="look_up")) + delta("tool_calls", **call(":1}")),
        native(TEXT, CALLED),
        [{"type": "text", "text": "look:"}, USED],
        "tool_use",
    ),
    "calls whose pieces are mixed": (
        {"tools": [TOOL]},
        delta(**call('{"a"', id="c1", name="look_up"))
        + delta(**call("{", 1, id="c2", name="look_up"))
        + delta(**call(":1}"))
        + delta("tool_calls", **call("}", 1)),
        native(CALLED, {**CALLED, "call_id": "c2", "arguments": "{}"}),
        [USED, {**USED, "id": "c2", "input": {}}],
        "tool_use",
    ),
    "a call of nothing": (
        {"tools": [TOOL]},
        delta("tool_calls", **call("", id="c1", name="look_up")),
        native({**CALLED, "arguments": ""}),
        [{**USED, "input": {}}],
        "tool_use",
    ),
    "thinking that was asked for": (
        {"thinking": THINKING},
        delta(reasoning_content="hm") + delta(content="look:", finish="stop"),
        native(THOUGHT, TEXT),
        [{"type": "thinking", "thinking": "hm", "signature": "unsigned"}, {"type": "text", "text": "look:"}],
        "end_turn",
    ),
    "thinking that is not to be shown": (
        {"thinking": {**THINKING, "display": "omitted"}},
        delta(reasoning_content="hm") + delta(content="look:", finish="stop"),
        native(THOUGHT, TEXT),
        [{"type": "thinking", "thinking": "", "signature": "unsigned"}, {"type": "text", "text": "look:"}],
        "end_turn",
    ),
    "thinking that nobody asked for": (
        {},
        delta(reasoning_content="hm") + delta(content="look:", finish="stop"),
        native(THOUGHT, TEXT),
        [{"type": "text", "text": "look:"}],
        "end_turn",
    ),
    "a refusal": (
        {},
        delta(refusal="no") + delta("stop"),
        native({**TEXT, "content": [{"type": "refusal", "refusal": "no"}]}),
        [{"type": "text", "text": "no"}],
        "refusal",
    ),
    "an answer that was cut": (
        {},
        delta(content="look:") + delta("length"),
        event(
            {
                "type": "response.incomplete",
                "response": {"output": [TEXT], "incomplete_details": {"reason": "max_output_tokens"}},
            }
        ),
        [{"type": "text", "text": "look:"}],
        "max_tokens",
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_both_engines_tell_the_same(both: World, upstream: ScriptedUpstream, name: str) -> None:
    body, over_chat, over_native, content, reason = CASES[name]
    upstream.script = sending(over_chat, counted(), DONE)
    chat = await streamed(both, model="chat", **body)
    upstream.script = sending(over_native)
    responses = await streamed(both, model="responses", **body)

    assert chat.message["content"] == responses.message["content"] == content
    assert chat.message["stop_reason"] == responses.message["stop_reason"] == reason


async def test_whole_messages_are_the_same_as_streamed_ones(both: World, upstream: ScriptedUpstream) -> None:
    answer = completion("look:", usage(10, 20))
    answer["choices"][0]["message"] |= {"reasoning_content": "hm", **call('{"a":1}', id="c1", name="look_up")}

    async def whole(_: Asked, connection: Connection) -> None:
        await connection.reply(200, answer)

    upstream.script = whole
    chat = await message(both, model="chat", thinking=THINKING, tools=[TOOL])
    answer = {"status": "completed", "output": [{**THOUGHT, "encrypted_content": "sealed"}, TEXT, CALLED]}
    responses = await message(both, model="responses", thinking=THINKING, tools=[TOOL])

    rest = [{"type": "text", "text": "look:"}, USED]
    assert chat["content"] == [{"type": "thinking", "thinking": "hm", "signature": "unsigned"}, *rest]
    assert responses["content"] == [{"type": "thinking", "thinking": "hm", "signature": "sealed"}, *rest]
    assert chat["stop_reason"] == responses["stop_reason"] == "tool_use"


async def test_a_call_that_is_no_json_is_handed_over_as_it_is(world: World, upstream: ScriptedUpstream) -> None:
    answer = completion("", usage(10, 20))
    answer["choices"][0]["message"] = {"role": "assistant", **call("{a:", id="c1", name="look_up")}

    async def whole(_: Asked, connection: Connection) -> None:
        await connection.reply(200, answer)

    upstream.script = whole
    made = await message(world, tools=[TOOL])
    assert made["content"][0]["input"] == {"INVALID_JSON": "{a:"}


async def test_the_sequence_that_stopped_it_is_named_where_the_upstream_tells(
    world: World, upstream: ScriptedUpstream
) -> None:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop", "stop_reason": "END"}
    upstream.script = sending(event({"choices": [choice]}), counted(), DONE)
    named = await streamed(world, stop_sequences=["END"])
    unasked = await streamed(world)

    assert (named.message["stop_reason"], named.message["stop_sequence"]) == ("stop_sequence", "END")
    assert (unasked.message["stop_reason"], unasked.message["stop_sequence"]) == ("end_turn", None)
    assert upstream.asked[0].body["stop"] == ["END"]


CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "what is it?"}, PICTURE]},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sealed"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"a": 1}},
            {"type": "tool_use", "id": "c2", "name": "look_up", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}, PICTURE]},
            {"type": "tool_result", "tool_use_id": "c2", "content": "broken", "is_error": True},
            {"type": "text", "text": "go on", "cache_control": {"type": "ephemeral"}},
        ],
    },
    {"role": "system", "content": "be quick"},
]


async def test_everything_said_before_reaches_a_chat_upstream(both: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("x", usage(10, 20))
    await message(
        both,
        model="chat",
        messages=CONVERSATION,
        tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}, {"type": "web_search_20250305", "name": "web_search"}],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 8192},
        max_tokens=9000,
        metadata={"user_id": "somebody"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    )

    body = upstream.asked[0].body
    picture = {"type": "image_url", "image_url": {"url": SEEN}}
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "look_up", "arguments": "{}"}},
    ]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]},
        {"role": "assistant", "content": "I look.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "The tool failed:\nbroken"},
        {"role": "user", "content": [picture]},
        {"role": "user", "content": "go on"},
        {"role": "system", "content": "be quick"},
    ]
    function = {"name": "look_up", "description": "Looks up.", "parameters": {"type": "object"}, "strict": False}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["reasoning_effort"] == "medium"
    assert "somebody" not in json.dumps(body)


async def test_and_one_that_speaks_responses_with_its_own_thinking(both: World, upstream: ScriptedUpstream) -> None:
    async def whole(_: Asked, connection: Connection) -> None:
        await connection.reply(200, {"status": "completed", "output": [TEXT]})

    upstream.script = whole
    await message(
        both,
        model="responses",
        system="be kind",
        messages=CONVERSATION,
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "look_up"},
        thinking={"type": "adaptive"},
        output_config={"effort": "max", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    )

    body = upstream.asked[0].body
    assert body["instructions"] == "be kind"
    assert [item["type"] for item in body["input"]] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "message",
        "message",
    ]
    assert body["input"][1]["encrypted_content"] == "sealed"
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["text"]["format"]["schema"] == {"type": "object"}
    assert body["tool_choice"] == {"type": "function", "name": "look_up"}
    assert (body["store"], body["max_output_tokens"]) == (False, 100)


DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"type": "text", "media_type": "text/plain", "data": "Zürich"}, "Zürich"),
    ({"type": "base64", "media_type": "text/plain", "data": "aGVsbG8="}, "hello"),
    ({"type": "content", "content": [{"type": "text", "text": "inside"}]}, "inside"),
]


@pytest.mark.parametrize(("source", "shown"), DOCUMENTS)
async def test_documents_of_text_are_shown_as_text(
    world: World, upstream: ScriptedUpstream, source: dict[str, Any], shown: str
) -> None:
    upstream.script = answering("x", usage(10, 20))
    document = {"type": "document", "source": source, "title": "notes"}
    found = {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]}
    await message(world, messages=[{"role": "user", "content": [document, found]}])
    content = upstream.asked[0].body["messages"][0]["content"]
    assert shown in content
    assert "T\nS" in content
    assert "found" in content


@pytest.mark.parametrize("pieces", [[delta(content="hello ")], [delta(**call("{", id="c1", name="look_up"))]])
async def test_a_stream_that_breaks_says_so_and_is_charged_for_what_came(
    world: World, upstream: ScriptedUpstream, pieces: list[bytes]
) -> None:
    upstream.script = sending(*pieces, then="hang_up")
    customer = world.customer()
    said = {"model": "test-model", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}], "tools": [TOOL]}
    async with served(world.app) as url, httpx.AsyncClient(base_url=url, headers=customer.headers) as client:
        seen = await seen_to_the_end(client.stream("POST", "/v1/messages", json={**said, "stream": True}))

    result = check_message_stream(seen.body)
    assert seen.broken
    assert result.kinds[-1] == "error"
    assert result.events[-1]["error"]["type"] == "api_error"
    assert result.events[-1]["error"]["code"] == "upstream_error"
    [entry] = await world.ledger(customer)
    assert 0 < entry.figures.charge_nano_usd <= entry.reserved_nano_usd
    assert unbalanced_nano_usd(await world.window(customer)) == 0


async def test_tokens_are_counted_free_of_charge(world: World, upstream: ScriptedUpstream) -> None:
    customer = world.customer()
    body = {"model": "test-model", "messages": [{"role": "user", "content": "hello"}], "tools": [TOOL]}
    answer = await world.client.post("/v1/messages/count_tokens", json=body, headers=customer.headers)

    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"input_tokens"}
    assert answer.json()["input_tokens"] > 0
    assert await world.ledger(customer) == []
    assert not upstream.asked


async def test_what_is_measured_grows_with_all_that_the_model_sees(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("x", usage(10, 20))
    customer = world.customer()
    await message(world, customer)
    grown: list[dict[str, Any]] = [
        {"system": "x" * 2000},
        {"messages": [{"role": "user", "content": "x" * 2000}]},
        {"tools": [{**TOOL, "description": "x" * 2000}]},
    ]
    for body in grown:
        await message(world, customer, **body)
    plain, *larger = [entry.reserved_nano_usd for entry in await world.ledger(customer)]
    assert all(reserved - plain > 900_000 for reserved in larger), "a thousand tokens at a dollar a million"

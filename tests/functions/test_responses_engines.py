"""Both engines, case by case: what a client gets is the same, whatever its model's upstream speaks."""

import json
from typing import Any

import httpx
import pytest
from jatevo_testing.responses import Streamed, check_response, check_stream
from jatevo_testing.served import seen_to_the_end, served
from jatevo_testing.streams import DONE, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, ScriptedUpstream, completion, usage
from jatevo_testing.world import MODEL, Customer, World

from jatevo.domain.ledger import Reason
from jatevo.domain.tokens import UsageSource

FUNCTION = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
FUNCTION_NAMED = {"type": "function", "name": "look_up"}
CUSTOM = {"type": "custom", "name": "patch"}
SHELL = {"type": "local_shell"}
COUNTED: dict[str, Any] = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
CHARGE = 10 * 1_000 + 20 * 2_000


@pytest.fixture
async def both(world: World, upstream: ScriptedUpstream) -> World:
    """A model over each engine: `chat`, `native`, and `either` over a pool of each."""
    pool = {"base_url": upstream.base_url, "api_key": "env:POOL_KEY"}
    routes = {"chat": ["chat"], "native": ["native"], "either": ["chat", "native"]}
    world.put_catalogue(
        {
            "pools": [
                {"id": "chat", **pool},
                {"id": "native", **pool, "wire": ["chat", "responses"], "pass_fields": ["context_management"]},
            ],
            "models": [
                MODEL | {"id": name, "routes": [{"pool": pool, "model": "secret-model"} for pool in pools]}
                for name, pools in routes.items()
            ],
        }
    )
    return world


def delta(finish: str | None = None, **members: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": members, "finish_reason": finish}]})


def call(arguments: str, *, index: int = 0, **members: Any) -> dict[str, Any]:
    return {
        "tool_calls": [{"index": index, **members, "function": {**members.pop("function", {}), "arguments": arguments}}]
    }


CHAT_USAGE = event({"choices": [], "usage": usage(10, 20)})


def told(kind: str, **members: Any) -> bytes:
    return event({"type": f"response.{kind}", **members})


def completed(*output: dict[str, Any], kind: str = "completed", **members: Any) -> bytes:
    response = {"id": "secret-id", "model": "secret-model", "output": list(output), "usage": COUNTED, **members}
    return told(kind, response=response)


def said(text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg_secret",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }


async def respond(world: World, customer: Customer, model: str, **body: Any) -> httpx.Response:
    asked = {"model": model, "input": "hello", **body}
    return await world.client.post("/v1/responses", json=asked, headers=customer.headers)


async def streamed(world: World, model: str, **body: Any) -> Streamed:
    """Ask for a stream, and check it and what it was charged."""
    customer = world.customer(margin_bps=0)
    answer = await respond(world, customer, model, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert "secret" not in answer.text
    result = check_stream(answer.content)
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == CHARGE
    assert result.last["usage"]["cost_usd"] == "0.00005"
    return result


def shapes(output: list[dict[str, Any]]) -> list[Any]:
    """Return items without their ids."""
    return [{name: value for name, value in item.items() if name not in {"id", "status"}} for item in output]


def text(value: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": value, "annotations": [], "logprobs": []}
    return {"type": "message", "role": "assistant", "content": [part]}


CALLED = {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"a":1}'}
PATCHED = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'say "hi"'}
THOUGHT = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm, so"}]}
SUMMED = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm, so"}], "content": []}
ITEM = {"output_index": 0, "item_id": "x"}

CASES: dict[str, tuple[dict[str, Any], bytes, bytes, list[dict[str, Any]]]] = {
    "text": (
        {},
        delta(content="one ") + delta(content="two", finish="stop"),
        told("output_item.added", item=said("") | {"content": []}, output_index=0)
        + told("output_text.delta", item_id="msg_secret", delta="one ")
        + told("output_text.delta", item_id="msg_secret", delta="two")
        + completed(said("one two")),
        [text("one two")],
    ),
    "text that only the end tells": (
        {},
        delta(content="one two", finish="stop"),
        completed(said("one two")),
        [text("one two")],
    ),
    "nothing at all": ({}, delta(role="assistant") + delta(finish="stop"), completed(), []),
    "a call": (
        {"tools": [FUNCTION]},
        delta(**call("", id="c1", function={"name": "look_up"}))
        + delta(**call('{"a"'))
        + delta(**call(":1}"), finish="tool_calls"),
        told("output_item.added", item={**CALLED, "id": "fc_secret", "arguments": ""}, output_index=0)
        + told("function_call_arguments.delta", item_id="fc_secret", delta='{"a"')
        + told("function_call_arguments.done", item_id="fc_secret", arguments='{"a":1}')
        + completed({**CALLED, "id": "fc_secret"}),
        [CALLED],
    ),
    "calls with their pieces mixed": (
        {"tools": [FUNCTION]},
        delta(**call("", id="c1", function={"name": "look_up"}))
        + delta(**call("", index=1, id="c2", function={"name": "look_up"}))
        + delta(**call('{"a"'))
        + delta(**call("{}", index=1))
        + delta(**call(":1}"), finish="tool_calls"),
        told("output_item.added", item={**CALLED, "id": "a"}, output_index=0)
        + told("output_item.added", item={**CALLED, "id": "b", "call_id": "c2"}, output_index=1)
        + told("function_call_arguments.delta", item_id="a", delta='{"a"')
        + told("function_call_arguments.delta", item_id="b", delta="{}")
        + told("function_call_arguments.delta", item_id="a", delta=":1}")
        + completed(),
        [CALLED, {**CALLED, "call_id": "c2", "arguments": "{}"}],
    ),
    "calls that are all number 0": (
        {"tools": [FUNCTION]},
        delta(**call('{"a":1}', id="c1", function={"name": "look_up"}))
        + delta(**call("{}", id="c2", function={"name": "look_up"}), finish="tool_calls"),
        completed(CALLED, {**CALLED, "call_id": "c2", "arguments": "{}"}),
        [CALLED, {**CALLED, "call_id": "c2", "arguments": "{}"}],
    ),
    "a custom call": (
        {"tools": [CUSTOM]},
        delta(**call('{"inp', id="c1", function={"name": "patch"}))
        + delta(**call('ut": "say \\"h'))
        + delta(**call('i\\""}'), finish="tool_calls"),
        told("output_item.added", item={**PATCHED, "input": ""}, output_index=0)
        + told("custom_tool_call_input.delta", output_index=0, delta='say "hi"')
        + completed(PATCHED),
        [PATCHED],
    ),
    "words and a call": (
        {"tools": [FUNCTION]},
        delta(content="look: ") + delta(**call('{"a":1}', id="c1", function={"name": "look_up"}), finish="tool_calls"),
        completed(said("look: "), CALLED),
        [text("look: "), CALLED],
    ),
    "reasoning": (
        {},
        delta(reasoning_content="hm, ") + delta(reasoning="so") + delta(content="yes", finish="stop"),
        told("reasoning_text.delta", **ITEM, content_index=0, delta="hm, so") + completed(THOUGHT, said("yes")),
        [THOUGHT, text("yes")],
    ),
    "reasoning as a summary": (
        {"reasoning": {"summary": "auto"}},
        delta(reasoning_content="hm, so") + delta(content="yes", finish="stop"),
        told("reasoning_summary_text.delta", **ITEM, summary_index=0, delta="hm, so") + completed(SUMMED, said("yes")),
        [SUMMED, text("yes")],
    ),
    "a refusal": (
        {},
        delta(refusal="no") + delta(finish="stop"),
        told("refusal.delta", **ITEM, delta="no") + completed(),
        [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_both_engines_tell_the_same(both: World, upstream: ScriptedUpstream, name: str) -> None:
    body, chat, native, expected = CASES[name]
    upstream.script = sending(chat, CHAT_USAGE + DONE)
    over_chat = await streamed(both, "chat", **body)
    upstream.script = sending(native)
    over_native = await streamed(both, "native", **body)

    assert shapes(over_chat.last["output"]) == expected
    assert shapes(over_native.last["output"]) == expected
    assert [asked.path for asked in upstream.asked] == ["/v1/chat/completions", "/v1/responses"]


@pytest.mark.parametrize(
    ("finish", "native", "reason"),
    [("length", "max_output_tokens", "max_output_tokens"), ("content_filter", "content_filter", "content_filter")],
)
async def test_an_answer_that_was_cut_is_incomplete(
    both: World, upstream: ScriptedUpstream, finish: str, native: str, reason: str
) -> None:
    upstream.script = sending(delta(content="one "), delta(finish=finish), CHAT_USAGE, DONE)
    over_chat = await streamed(both, "chat")
    upstream.script = sending(
        told("output_text.delta", **ITEM, delta="one "),
        completed(kind="incomplete", incomplete_details={"reason": native}),
    )
    over_native = await streamed(both, "native")

    for result in (over_chat, over_native):
        assert result.kinds[-1] == "response.incomplete"
        assert result.last["incomplete_details"] == {"reason": reason}
        assert result.last["output"][0]["status"] == "incomplete"


async def test_log_probabilities_are_told_where_asked(both: World, upstream: ScriptedUpstream) -> None:
    token = {"token": "one", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "uno", "logprob": -2}]}
    choice = {"index": 0, "delta": {"content": "one"}, "finish_reason": "stop", "logprobs": {"content": [token]}}
    upstream.script = sending(event({"choices": [choice]}), CHAT_USAGE, DONE)

    result = await streamed(both, "chat", include=["message.output_text.logprobs"], top_logprobs=1)

    shown: dict[str, Any] = {"token": "one", "logprob": -0.5, "bytes": []}
    shown["top_logprobs"] = [{"token": "uno", "logprob": -2, "bytes": []}]
    assert result.last["output"][0]["content"][0]["logprobs"] == [shown]
    assert upstream.asked[0].body["logprobs"] is True
    assert upstream.asked[0].body["top_logprobs"] == 1


async def test_whole_answers_are_the_same(both: World, upstream: ScriptedUpstream) -> None:
    details: Any = {"reasoning_tokens": 5}
    answer = completion("hello", usage(10, 20, completion_tokens_details=details))
    native: dict[str, Any] = {"id": "secret", "status": "completed", "output": [said("hello")]}
    native["usage"] = COUNTED | {"output_tokens_details": details}

    async def script(asked: Asked, connection: Connection) -> None:
        await connection.reply(200, native if asked.path == "/v1/responses" else answer)

    upstream.script = script
    bodies = [(await respond(both, both.customer(), model)).json() for model in ("chat", "native")]

    for body in bodies:
        check_response(body)
        assert shapes(body["output"]) == [text("hello")]
        assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 5}
        assert "secret" not in json.dumps(body)


async def test_a_native_upstream_gets_the_request_as_it_is(both: World, upstream: ScriptedUpstream) -> None:
    upstream.script = sending(completed(said("hi")))
    given = [
        {"type": "message", "id": "msg_x", "role": "user", "content": "hello"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "s1", "action": {"type": "exec"}},
    ]
    fields = {
        "tools": [FUNCTION, SHELL, {"type": "web_search"}, CUSTOM],
        "include": ["reasoning.encrypted_content"],
        "context_management": [{"type": "compaction"}],
        "truncation": "auto",
        "metadata": {"a": "b"},
    }

    result = await streamed(both, "native", input=given, max_output_tokens=64, **fields)

    body = upstream.asked[0].body
    assert body["input"] == [
        {"type": "message", "role": "user", "content": "hello"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        given[3],
    ]
    assert body["tools"] == [FUNCTION, SHELL, CUSTOM]
    assert (body["model"], body["store"], body["max_output_tokens"]) == ("secret-model", False, 64)
    assert "metadata" not in body
    assert result.last["metadata"] == {"a": "b"}
    assert [tool["type"] for tool in result.last["tools"]] == ["function", "local_shell", "custom"]


async def test_what_only_one_engine_can_do_goes_to_a_pool_of_it(both: World, upstream: ScriptedUpstream) -> None:
    upstream.script = sending(completed(said("hi")))

    await streamed(
        both, "either", input=[{"role": "user", "content": "x"}, {"type": "compaction", "encrypted_content": "x"}]
    )

    assert upstream.asked[0].path == "/v1/responses"
    assert upstream.asked[0].body["input"][1] == {"type": "compaction", "encrypted_content": "x"}


async def test_items_of_unknown_types_pass_as_they_are(both: World, upstream: ScriptedUpstream) -> None:
    item = {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "s1",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    }
    upstream.script = sending(told("output_item.done", item=item, output_index=0), completed(item))

    result = await streamed(both, "native", tools=[SHELL])

    assert result.last["output"] == [item]


BREAKS: dict[str, tuple[bytes, bytes]] = {
    "the connection ends": (delta(content="one "), told("output_text.delta", **ITEM, delta="one ")),
    "no JSON": (
        delta(content="one ") + b"data: {oops\n\n",
        told("output_text.delta", **ITEM, delta="one ") + b"data: x\n\n",
    ),
    "an error": (
        delta(content="one ") + event({"error": {"message": "secret"}}),
        told("output_text.delta", **ITEM, delta="one ") + event({"type": "error", "message": "secret"}),
    ),
    "it says it failed": (
        delta(content="one ", finish="error"),
        told("output_text.delta", **ITEM, delta="one ")
        + completed(kind="failed", error={"code": "server_error", "message": "secret"}),
    ),
    "mid-call": (
        delta(content="one ") + delta(**call('{"a', id="c1", function={"name": "look_up"})),
        told("output_text.delta", **ITEM, delta="one ")
        + told("output_item.added", item={**CALLED, "id": "fc_1", "arguments": ""}, output_index=1),
    ),
}


@pytest.mark.parametrize(("engine", "model"), [(0, "chat"), (1, "native")])
async def test_a_stream_that_breaks_fails_once_and_charges_what_came(
    both: World, upstream: ScriptedUpstream, engine: int, model: str
) -> None:
    begun = told("output_text.delta", **ITEM, delta="") if engine else delta(content="zero ")
    body = {"model": model, "input": "hello", "stream": True}
    async with served(both.app) as base_url, httpx.AsyncClient(base_url=base_url) as client:
        for name, pieces in BREAKS.items():
            upstream.script = sending(begun, pieces[engine])
            customer = both.customer(margin_bps=0)

            seen = await seen_to_the_end(client.stream("POST", "/v1/responses", json=body, headers=customer.headers))

            assert seen.broken, name
            assert b"secret" not in seen.everything
            result = check_stream(seen.body)
            assert result.kinds[-1] == "response.failed"
            assert (result.last["error"]["code"], result.last["error"]["type"]) == ("server_error", "upstream_error")
            [entry] = await both.ledger(customer)
            assert entry.reason is Reason.UPSTREAM_BROKE
            assert 0 < entry.figures.charge_nano_usd < CHARGE
            again = await respond(both, customer, "chat", previous_response_id=result.last["id"])
            assert again.json()["error"]["code"] == "previous_response_not_found"


FIRST: dict[str, Script] = {
    "nothing": sending(),
    "an error": sending(event({"error": {"message": "secret"}})),
    "garbage": sending(b"data: nothing\n\n"),
}


@pytest.mark.parametrize("model", ["chat", "native"])
@pytest.mark.parametrize("name", FIRST)
async def test_errors_before_the_first_event_are_plain(
    both: World, upstream: ScriptedUpstream, name: str, model: str
) -> None:
    upstream.script = FIRST[name]

    answer = await respond(both, both.customer(), model, stream=True)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_error"
    assert "secret" not in answer.text


NO_COUNTS: dict[str, Any] = {
    "none": None,
    "a list": [10, 20],
    "negative": {"input_tokens": -1, "output_tokens": 20},
    "text": {"input_tokens": "10", "output_tokens": "20"},
    "all zero": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    "beyond any count": {"input_tokens": 10, "output_tokens": 10**30},
}


@pytest.mark.parametrize("name", NO_COUNTS)
async def test_counts_that_cannot_be_are_replaced_by_an_estimate(
    both: World, upstream: ScriptedUpstream, name: str
) -> None:
    upstream.script = sending(completed(said("twelve bytes"), usage=NO_COUNTS[name]))
    customer = both.customer(margin_bps=0)

    answer = await respond(both, customer, "native", stream=True)

    [entry] = await both.ledger(customer)
    assert entry.usage_source is UsageSource.ESTIMATED
    assert 3 <= entry.usage.output_tokens <= 5
    assert 0 < entry.figures.charge_nano_usd <= entry.reserved_nano_usd
    assert check_stream(answer.content).last["usage"]["output_tokens"] == entry.usage.output_tokens


async def test_nobody_pays_above_the_reservation(both: World, upstream: ScriptedUpstream) -> None:
    counted = {"input_tokens": 10**6, "output_tokens": 10**6, "total_tokens": 2 * 10**6}
    upstream.script = sending(completed(said("x"), usage=counted))
    customer = both.customer(margin_bps=0)

    answer = await respond(both, customer, "native", stream=True, max_output_tokens=16)

    [entry] = await both.ledger(customer)
    assert entry.figures.charge_nano_usd == entry.reserved_nano_usd
    assert entry.figures.overrun_nano_usd > 0
    assert upstream.asked[0].body["max_output_tokens"] == 16
    check_stream(answer.content)


PICTURE = {"type": "input_image", "image_url": "https://pictures.example/a.png"}


@pytest.mark.parametrize(
    "item",
    [
        {"type": "shell_call_output", "call_id": "c", "output": [PICTURE]},
        {"type": "code_interpreter_call", "id": "c", "outputs": [{"type": "image", "url": PICTURE["image_url"]}]},
        {"type": "yet_unknown", "deep": {"er": [{"parts": [PICTURE]}]}},
    ],
)
async def test_a_picture_is_refused_wherever_an_item_of_another_type_holds_it(
    both: World, upstream: ScriptedUpstream, item: dict[str, Any]
) -> None:
    answer = await respond(both, both.customer(), "native", input=[item])

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_modality")
    assert upstream.asked == []


@pytest.mark.parametrize("model", ["chat", "native"])
async def test_a_member_of_reasoning_that_nobody_knows_is_refused(both: World, model: str) -> None:
    answer = await respond(both, both.customer(), model, reasoning={"effort": "low", "budget": "all"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "reasoning.budget")


@pytest.mark.parametrize(
    ("allowed", "sent"),
    [
        ([{"type": "web_search"}, {"type": "function", "name": "look_up"}], {"tools": [FUNCTION_NAMED]}),
        ([{"type": "web_search"}], "none"),
    ],
)
async def test_a_choice_names_no_tool_that_was_taken_out(
    both: World, upstream: ScriptedUpstream, allowed: list[Any], sent: Any
) -> None:
    upstream.script = sending(completed(said("hi")))
    choice = {"type": "allowed_tools", "mode": "auto", "tools": allowed}

    result = await streamed(both, "native", tools=[FUNCTION, {"type": "web_search"}], tool_choice=choice)

    wanted = choice | sent if isinstance(sent, dict) else sent
    assert upstream.asked[0].body["tool_choice"] == result.last["tool_choice"] == wanted

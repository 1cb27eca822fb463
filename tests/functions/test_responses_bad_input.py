"""Responses bodies that no model should see: each gets its own clear error, before anything is reserved."""

import json
from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import nothing_reserved, refused, untouched
from jatevo_testing.responses import check_response
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import Customer, World

USER = {"type": "message", "role": "user", "content": "hello"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CUSTOM = {"type": "custom", "name": "patch"}
DEEP = json.loads('{"items": ' * 120 + "{}" + "}" * 120)

INVALID, MISSING, UNSUPPORTED = "invalid_value", "missing_required_parameter", "unsupported_parameter"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def post(world: World, customer: Customer, body: Any) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps({"model": "test-model", "input": "hi", **body}).encode()
    return await world.client.post("/v1/responses", content=raw, headers=customer.headers)


def items(*given: Any) -> dict[str, Any]:
    return {"input": list(given)}


def part(**members: Any) -> dict[str, Any]:
    return items({**USER, "content": [members]})


def schema(value: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "n", "schema": value}}}


FIELDS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no model": ({"model": None}, MISSING, "model"),
    "no input": ({"input": None}, MISSING, "input"),
    "input a number": ({"input": 7}, INVALID, "input"),
    "input empty": ({"input": []}, MISSING, "input"),
    "input too long": ({"input": [USER] * 4097}, INVALID, "input"),
    "item a string": (items("hello"), INVALID, "input[0]"),
    "item null": (items(USER, None), INVALID, "input[1]"),
    "item without type": (items({"text": "hello"}), MISSING, "input[0].type"),
    "type a list": (items({"type": ["message"]}), INVALID, "input[0].type"),
    "id an object": (items({"type": "yet_unknown", "id": {"a": 1}}), INVALID, "input[0].id"),
    "id a list": (items({**USER, "id": ["a"]}), INVALID, "input[0].id"),
    "id a number": (items({**USER, "id": 5}), INVALID, "input[0].id"),
    "role unknown": (items({**USER, "role": "tool"}), INVALID, "input[0].role"),
    "role missing": (items({"type": "message", "content": "x"}), INVALID, "input[0].role"),
    "content missing": (items({"role": "user"}), MISSING, "input[0].content"),
    "content a number": (items({**USER, "content": 7}), INVALID, "input[0].content"),
    "part a string": (items({**USER, "content": ["x"]}), INVALID, "input[0].content[0].type"),
    "part unknown": (part(type="video"), INVALID, "input[0].content[0].type"),
    "part's type a list": (part(type=[]), INVALID, "input[0].content[0].type"),
    "text part without text": (part(type="input_text"), INVALID, "input[0].content[0].text"),
    "image without a URL": (part(type="input_image"), INVALID, "input[0].content[0].image_url"),
    "image of another scheme": (
        part(type="input_image", image_url="file:///etc/passwd"),
        INVALID,
        "input[0].content[0].image_url",
    ),
    "an uploaded image": (part(type="input_image", file_id="file-1"), UNSUPPORTED, "input[0].content[0].file_id"),
    "an uploaded file": (part(type="input_file", file_id="file-1"), UNSUPPORTED, "input[0].content[0].file_id"),
    "a file to fetch": (part(type="input_file", file_url="http://x"), UNSUPPORTED, "input[0].content[0].file_url"),
    "a file of nothing": (part(type="input_file", filename="x"), INVALID, "input[0].content[0].file_data"),
    "an image nobody sells": (
        part(type="input_image", image_url="data:image/png;base64,AA=="),
        "unsupported_modality",
        "input",
    ),
    "a PDF nobody sells": (
        part(type="input_file", file_data="data:application/pdf;base64,AA=="),
        "unsupported_modality",
        "input",
    ),
    "a call without an id": (items({**CALL, "call_id": None}), MISSING, "input[0].call_id"),
    "a call without arguments": (items({**CALL, "arguments": None}), MISSING, "input[0].arguments"),
    "arguments an object": (items({**CALL, "arguments": {}}), INVALID, "input[0].arguments"),
    "output without its call": (items(USER, OUTPUT), INVALID, "input[1].call_id"),
    "output before its call": (items(OUTPUT, CALL), INVALID, "input[0].call_id"),
    "two outputs": (items(CALL, OUTPUT, OUTPUT), INVALID, "input[2].call_id"),
    "two calls of one id": (items(CALL, CALL, OUTPUT), INVALID, "input[1].call_id"),
    "a call without its output": (items(CALL, USER), INVALID, "input"),
    "output's part unknown": (
        items(CALL, {**OUTPUT, "output": [{"type": "output_text", "text": "x"}]}),
        INVALID,
        "input[1].output[0].type",
    ),
    "a reference to nothing": (items({"type": "item_reference", "id": "msg_1"}), "not_found", "input"),
    "an item only other upstreams know": (items(USER, {"type": "local_shell_call"}), UNSUPPORTED, "input"),
    "an item that brings along what the upstream would run": (
        items(USER, {"type": "additional_tools", "role": "developer", "tools": [{"type": "web_search"}]}),
        UNSUPPORTED,
        "input[1].tools[0]",
    ),
    "a previous response that is none": (
        {"previous_response_id": "resp_1"},
        "previous_response_not_found",
        "previous_response_id",
    ),
    "a conversation that is none": ({"conversation": "conv_1"}, "not_found", "conversation"),
    "two pasts": ({"previous_response_id": "resp_1", "conversation": "conv_1"}, INVALID, "previous_response_id"),
    "conversation without an id": ({"conversation": {"name": "x"}}, INVALID, "conversation"),
    "instructions a list": ({"instructions": ["x"]}, INVALID, "instructions"),
    "in the background": ({"background": True}, UNSUPPORTED, "background"),
    "another tier": ({"service_tier": "priority"}, UNSUPPORTED, "service_tier"),
    "a stored prompt": ({"prompt": {"id": "pmpt_1"}}, UNSUPPORTED, "prompt"),
    "chat's cap": ({"max_tokens": 7}, UNSUPPORTED, "max_tokens"),
    "chat's other cap": ({"max_completion_tokens": 7, "max_output_tokens": 9}, UNSUPPORTED, "max_completion_tokens"),
    "chat's messages": ({"messages": [{"role": "user", "content": "x" * 100}]}, UNSUPPORTED, "messages"),
    "several choices": ({"n": 2}, UNSUPPORTED, "n"),
    "a field nobody knows": ({"no_such_field": 1}, UNSUPPORTED, "no_such_field"),
    "compaction by the upstream": ({"context_management": [{"type": "compaction"}]}, UNSUPPORTED, "context_management"),
    "cap zero": ({"max_output_tokens": 0}, INVALID, "max_output_tokens"),
    "cap true": ({"max_output_tokens": True}, INVALID, "max_output_tokens"),
    "cap absurd": ({"max_output_tokens": 10**18}, INVALID, "max_output_tokens"),
    "temperature hot": ({"temperature": 3}, INVALID, "temperature"),
    "stream a string": ({"stream": "yes"}, INVALID, "stream"),
    "stream options without stream": ({"stream_options": {"include_obfuscation": False}}, INVALID, "stream_options"),
    "stream options of chat": (
        {"stream": True, "stream_options": {"include_usage": True}},
        UNSUPPORTED,
        "stream_options.include_usage",
    ),
    "metadata of 17": ({"metadata": {str(n): "x" for n in range(17)}}, INVALID, "metadata"),
    "metadata of numbers": ({"metadata": {"a": 1}}, INVALID, "metadata"),
    "metadata too long": ({"metadata": {"a": "x" * 513}}, INVALID, "metadata"),
    "include unknown": ({"include": ["everything"]}, INVALID, "include[0]"),
    "truncation unknown": ({"truncation": "middle"}, INVALID, "truncation"),
    "reasoning a string": ({"reasoning": "high"}, INVALID, "reasoning"),
    "effort a number": ({"reasoning": {"effort": 7}}, INVALID, "reasoning.effort"),
    "reasoning that costs more": ({"reasoning": {"mode": "pro"}}, UNSUPPORTED, "reasoning.mode"),
    "text of another kind": ({"text": {"format": {"type": "xml"}}}, INVALID, "text.format.type"),
    "text's field unknown": ({"text": {"colour": "red"}}, UNSUPPORTED, "text.colour"),
    "verbosity unknown": ({"text": {"verbosity": "loud"}}, INVALID, "text.verbosity"),
    "schema without a name": ({"text": {"format": {"type": "json_schema", "schema": {}}}}, INVALID, "text.format.name"),
    "schema missing": (schema(None), INVALID, "text.format.schema"),
    "schema a list": (schema([]), INVALID, "text.format.schema"),
    "schema of no type": (schema({"type": "strng"}), INVALID, "text.format.schema.type"),
    "schema within": (
        schema({"properties": {"a": {"anyOf": {}}}}),
        INVALID,
        "text.format.schema.properties.a.anyOf",
    ),
    "schema with a name beyond sense": (
        schema({"properties": {"x" * 1_000_000: {"properties": {str(n): {"type": n} for n in range(9)}}}}),
        INVALID,
        f"text.format.schema.properties.{'x' * 64}….properties.8.type",
    ),
    "reasoning with a name beyond sense": ({"reasoning": {"x" * 1_000_000: 7}}, INVALID, f"reasoning.{'x' * 64}…"),
    "so many pictures": (
        items({**USER, "content": [{"type": "input_image", "image_url": "data:"}] * 50_000}),
        "unsupported_modality",
        "input",
    ),
    "so many allowed": (
        {
            "tools": [FUNCTION],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}] * 600,
            },
        },
        INVALID,
        "tool_choice.tools",
    ),
    "schema nested beyond sense": (schema({"items": DEEP}), "invalid_json", None),
    "tools an object": ({"tools": FUNCTION}, INVALID, "tools"),
    "tool without a type": ({"tools": [{"name": "f"}]}, INVALID, "tools"),
    "function without a name": ({"tools": [{"type": "function"}]}, INVALID, "tools[0].name"),
    "parameters a list": ({"tools": [{**FUNCTION, "parameters": []}]}, INVALID, "tools[0].parameters"),
    "two tools of one name": ({"tools": [FUNCTION, FUNCTION]}, INVALID, "tools"),
    "a grammar of no syntax": (
        {"tools": [{**CUSTOM, "format": {"type": "grammar", "definition": "x"}}]},
        INVALID,
        "tools[0].format.syntax",
    ),
    "choice unknown": ({"tools": [FUNCTION], "tool_choice": "maybe"}, INVALID, "tool_choice"),
    "choice of nothing": ({"tool_choice": "required"}, UNSUPPORTED, "tool_choice"),
    "choice of another": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
        INVALID,
        "tool_choice",
    ),
    "choice of what the upstream runs": (
        {"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search_preview"}},
        UNSUPPORTED,
        "tool_choice",
    ),
    "only tools that the upstream runs, one required": (
        {"tools": [{"type": "web_search"}, {"type": "mcp", "server_label": "x"}], "tool_choice": "required"},
        UNSUPPORTED,
        "tool_choice",
    ),
    "a forced tool that chat cannot call": (
        {"tools": [{"type": "local_shell"}], "tool_choice": {"type": "local_shell"}},
        UNSUPPORTED,
        "tool_choice",
    ),
    "allowed of another": (
        {
            "tools": [FUNCTION],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
        },
        INVALID,
        "tool_choice.tools[0]",
    ),
    "allowed in no mode": (
        {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "tools": []}},
        INVALID,
        "tool_choice.mode",
    ),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_what_is_wrong_is_named(lasting_world: World, lasting_upstream: ScriptedUpstream, name: str) -> None:
    body, code, param = FIELDS[name]
    customer = lasting_world.customer()

    answer = await post(lasting_world, customer, body)

    refused(answer, 404 if code == "not_found" else 400, code, param=param)
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


BODIES = {"empty": b"", "a list": b"[]", "text": b"hello", "no UTF-8": b'{"model": "\xff"}', "deep": b"[" * 100_000}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_json_object_is_refused(lasting_world: World, name: str) -> None:
    customer = lasting_world.customer()

    answer = await post(lasting_world, customer, BODIES[name])

    refused(answer, 400, "invalid_type" if name == "a list" else "invalid_json")
    await nothing_reserved(lasting_world, customer)


FITS: dict[str, dict[str, Any]] = {
    "null everywhere": dict.fromkeys(
        ("instructions", "tools", "tool_choice", "text", "reasoning", "metadata", "store")
    ),
    "items without types": items(
        {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "developer", "content": "z"}
    ),
    "lone surrogates": {"input": "\ud800 \udfff"},
    "a tool the upstream would run": {"tools": [{"type": "web_search"}, FUNCTION]},
    "such a tool within a group": {
        "tools": [FUNCTION, {"type": "namespace", "name": "n", "tools": [{"type": "web_search_preview"}]}]
    },
    "only such tools": {"tools": [{"type": "web_search"}], "tool_choice": "auto", "parallel_tool_calls": True},
    "a megabyte of schema": schema({"description": "x" * 1000, "enum": ["y"]}),
    "every field that is repeated": {
        "instructions": "be kind",
        "max_output_tokens": 9,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "temperature": 0.25,
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "top_logprobs": 0,
        "top_p": 1,
        "truncation": "auto",
        "user": "u",
        "tools": [
            {**FUNCTION, "strict": True, "description": "does"},
            {**CUSTOM, "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
        ],
        "tool_choice": {"type": "custom", "name": "patch"},
    },
    "a named function": {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
    "allowed tools": {
        "tools": [FUNCTION, CUSTOM],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
    },
    "no tools allowed": {"tools": [FUNCTION], "tool_choice": "none"},
    "a schema": schema({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
    "a call and its output": items(USER, CALL, OUTPUT),
    "includes of tools that are not served": {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
    "not in the background": {"background": False, "service_tier": "auto", "truncation": "disabled"},
}


@pytest.mark.parametrize("name", FITS)
async def test_what_is_odd_and_right_is_served(
    lasting_world: World, lasting_upstream: ScriptedUpstream, name: str
) -> None:
    answer = await post(lasting_world, lasting_world.customer(), FITS[name])

    assert answer.status_code == 200, answer.text
    check_response(answer.json())
    assert "web_search" not in json.dumps(lasting_upstream.asked[0].body)


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405)])
async def test_other_methods_are_told_so(lasting_world: World, method: str, status: int) -> None:
    answer = await lasting_world.client.request(method, "/v1/responses")

    assert answer.status_code == status
    upgrade = await lasting_world.client.get("/v1/responses", headers={"upgrade": "websocket", "connection": "upgrade"})
    assert upgrade.status_code == 426

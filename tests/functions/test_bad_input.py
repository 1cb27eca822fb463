"""Bodies and fields that no model should see: each gets its own clear error, before anything is reserved."""

import json
from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import nothing_reserved, refused, untouched
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import Customer, World

USER: dict[str, Any] = {"role": "user", "content": "hello"}
CHAT: dict[str, Any] = {"model": "test-model", "messages": [USER]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
WEB_SEARCH = {"type": "web_search"}
LONG = "x" * 1_000_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def post(world: World, customer: Customer, raw: bytes) -> httpx.Response:
    return await world.client.post("/v1/chat/completions", content=raw, headers=customer.headers)


def parts(*content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_json"),
    "blank": (b" \r\n\t", "invalid_json"),
    "text": (b"hello", "invalid_json"),
    "form": (b"model=test-model&messages=hi", "invalid_json"),
    "cut short": (json.dumps(CHAT).encode()[:-1], "invalid_json"),
    "two values": (json.dumps(CHAT).encode() * 2, "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(CHAT).encode(), "invalid_json"),
    "not UTF-8": (json.dumps(CHAT).encode("utf-16"), "invalid_json"),
    "broken UTF-8": (b'{"model": "\xff\xfe"}', "invalid_json"),
    "NaN": (b'{"model": "test-model", "messages": [{"role": "user", "content": "a"}], "x": NaN}', "invalid_json"),
    "infinity": (b'{"model": "test-model", "temperature": -Infinity}', "invalid_json"),
    "a number beyond all floats": (b'{"logit_bias": {"1": 1e999}, "messages": [], "model": "m"}', "invalid_json"),
    "a number of 5000 digits": (b'{"seed": ' + b"9" * 5000 + b"}", "invalid_json"),
    "nested beyond any parser": (b'{"messages": ' + b"[" * 200_000, "invalid_json"),
    "nested in pairs": (b'{"messages": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "invalid_json"),
    "nested deeply": (b'{"messages": ' + b'{"a": ' * 150 + b"1" + b"}" * 151, "invalid_json"),
    "list": (json.dumps([CHAT]).encode(), "invalid_type"),
    "string": (b'"hello"', "invalid_type"),
    "number": (b"42", "invalid_type"),
    "null": (b"null", "invalid_type"),
    "true": (b"true", "invalid_type"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_json_object_is_refused(
    lasting_world: World, lasting_upstream: ScriptedUpstream, name: str
) -> None:
    raw, code = BODIES[name]
    customer = lasting_world.customer()

    answer = await post(lasting_world, customer, raw)

    refused(answer, 400, code)
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


async def test_a_body_one_byte_over_the_limit_is_too_large(lasting_world: World) -> None:
    customer = lasting_world.customer()
    frame = json.dumps(CHAT | {"messages": [USER | {"content": "@"}]}).encode()
    limit = 6 * 1024 * 1024
    just_fits = frame.replace(b"@", b"x" * (limit - len(frame) + 1))
    assert len(just_fits) == limit

    answer = await post(lasting_world, customer, just_fits.replace(b"xx", b"xxx", 1))

    error = refused(answer, 413, "request_too_large")
    assert "6 MB" in error["message"]
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert (await post(lasting_world, customer, just_fits)).status_code == 200


MISSING = "missing_required_parameter"
FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no model": ({"model": None}, MISSING, "model"),
    "model empty": ({"model": ""}, "invalid_value", "model"),
    "model a list": ({"model": ["test-model"]}, "invalid_value", "model"),
    "no messages": ({"messages": None}, MISSING, "messages"),
    "messages empty": ({"messages": []}, "invalid_value", "messages"),
    "messages a string": ({"messages": "hello"}, "invalid_value", "messages"),
    "messages an object": ({"messages": USER}, "invalid_value", "messages"),
    "messages too many": ({"messages": [USER] * 4097}, "invalid_value", "messages"),
    "message a string": ({"messages": ["hello"]}, "invalid_value", "messages[0]"),
    "message null": ({"messages": [USER, None]}, "invalid_value", "messages[1]"),
    "role missing": ({"messages": [{"content": "a"}]}, "invalid_value", "messages[0].role"),
    "role unknown": ({"messages": [USER | {"role": "god"}]}, "invalid_value", "messages[0].role"),
    "role a list": ({"messages": [USER | {"role": ["user"]}]}, "invalid_value", "messages[0].role"),
    "role an object": ({"messages": [USER | {"role": {}}]}, "invalid_value", "messages[0].role"),
    "content missing": ({"messages": [{"role": "user"}]}, "invalid_value", "messages[0].content"),
    "content a number": ({"messages": [USER | {"content": 1}]}, "invalid_value", "messages[0].content"),
    "content an object": ({"messages": [USER | {"content": {}}]}, "invalid_value", "messages[0].content"),
    "part a string": (parts("hello"), "invalid_value", "messages[0].content[0].type"),
    "part unknown": (parts({"type": "video_url"}), "invalid_value", "messages[0].content[0].type"),
    "part's type a list": (parts({"type": []}), "invalid_value", "messages[0].content[0].type"),
    "text part without text": (parts({"type": "text"}), "invalid_value", "messages[0].content[0].text"),
    "tool_calls a string": ({"messages": [USER | {"tool_calls": "x"}]}, "invalid_value", "messages[0].tool_calls"),
    "max_tokens zero": ({"max_tokens": 0}, "invalid_value", "max_tokens"),
    "max_tokens negative": ({"max_tokens": -1}, "invalid_value", "max_tokens"),
    "max_tokens absurd": ({"max_tokens": 10**18}, "invalid_value", "max_tokens"),
    "max_tokens beyond 64 bits": ({"max_tokens": 10**400}, "invalid_value", "max_tokens"),
    "max_tokens a fraction": ({"max_tokens": 10.5}, "invalid_value", "max_tokens"),
    "max_tokens a whole float": ({"max_tokens": 10.0}, "invalid_value", "max_tokens"),
    "max_tokens a string": ({"max_tokens": "10"}, "invalid_value", "max_tokens"),
    "max_tokens true": ({"max_tokens": True}, "invalid_value", "max_tokens"),
    "max_completion_tokens zero": ({"max_completion_tokens": 0}, "invalid_value", "max_completion_tokens"),
    "one cap good, one bad": ({"max_tokens": 9, "max_completion_tokens": -9}, "invalid_value", "max_completion_tokens"),
    "n zero": ({"n": 0}, "invalid_value", "n"),
    "n absurd": ({"n": 10**6}, "invalid_value", "n"),
    "n a string": ({"n": "2"}, "invalid_value", "n"),
    "stream a string": ({"stream": "true"}, "invalid_value", "stream"),
    "stream_options without stream": ({"stream_options": {"include_usage": True}}, "invalid_value", "stream_options"),
    "stream_options a list": ({"stream": True, "stream_options": []}, "invalid_value", "stream_options"),
    "temperature too high": ({"temperature": 2.1}, "invalid_value", "temperature"),
    "temperature a string": ({"temperature": "1"}, "invalid_value", "temperature"),
    "top_p negative": ({"top_p": -0.1}, "invalid_value", "top_p"),
    "stop of numbers": ({"stop": [1, 2]}, "invalid_value", "stop"),
    "logit_bias a list": ({"logit_bias": [1]}, "invalid_value", "logit_bias"),
    "seed beyond 64 bits": ({"seed": 2**63}, "invalid_value", "seed"),
    "tools an object": ({"tools": FUNCTION}, "invalid_value", "tools"),
    "tool a string": ({"tools": ["f"]}, "invalid_value", "tools"),
    "tool's type a list": ({"tools": [{"type": []}]}, "invalid_value", "tools"),
    "tools too many": ({"tools": [FUNCTION] * 513}, "invalid_value", "tools"),
    "tool_choice a number": ({"tools": [FUNCTION], "tool_choice": 1}, "invalid_value", "tool_choice"),
    "response_format a string": ({"response_format": "json"}, "invalid_value", "response_format"),
    "user a number": ({"user": 1}, "invalid_value", "user"),
    "images unpriced": (
        parts({"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}),
        "unsupported_modality",
        "messages",
    ),
    "audio unpriced": (
        parts({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
        "unsupported_modality",
        "messages",
    ),
    "a file": (parts({"type": "file", "file": {}}), "unsupported_modality", "messages[0].content[0]"),
    "audio wanted": ({"modalities": ["text", "audio"]}, "unsupported_modality", "modalities"),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_a_field_that_is_wrong_is_named_and_refused(
    lasting_world: World, lasting_upstream: ScriptedUpstream, name: str
) -> None:
    change, code, param = FIELDS[name]
    customer = lasting_world.customer()

    answer = await lasting_world.chat(customer, **change)

    error = refused(answer, 400, code, param=param)
    assert param.split("[")[0] in error["message"] or code == "unsupported_modality"
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


UNSUPPORTED: dict[str, dict[str, Any]] = {
    "frobnicate": {"frobnicate": 1},
    "best_of": {"best_of": 5},
    "n_predict": {"n_predict": -1},
    "num_predict": {"num_predict": 10_000},
    "max_new_tokens": {"max_new_tokens": 10_000},
    "max_output_tokens": {"max_output_tokens": 10_000},
    "min_tokens": {"min_tokens": 10_000},
    "ignore_eos": {"ignore_eos": True},
    "use_beam_search": {"use_beam_search": True},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "background": {"background": True},
    "store": {"store": True},
    "service_tier": {"service_tier": "priority"},
    "prediction": {"prediction": {"type": "content", "content": "a"}},
    "web_search_options": {"web_search_options": {}},
    "audio": {"audio": {"voice": "alloy", "format": "wav"}},
    "previous_response_id": {"previous_response_id": "resp_1"},
    "stream_options.continuous_usage_stats": {"stream": True, "stream_options": {"continuous_usage_stats": True}},
    "tool_choice": {"tools": [FUNCTION, WEB_SEARCH], "tool_choice": WEB_SEARCH},
    "tools": {"tools": [WEB_SEARCH], "tool_choice": "required"},
}


@pytest.mark.parametrize("param", UNSUPPORTED)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_field_that_could_change_the_cost_or_is_unknown_is_named_and_refused(
    lasting_world: World, lasting_upstream: ScriptedUpstream, param: str, *, stream: bool
) -> None:
    customer = lasting_world.customer()

    answer = await lasting_world.chat(customer, **{"stream": stream} | UNSUPPORTED[param])

    refused(answer, 400, "unsupported_parameter", param=param)
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


async def test_a_built_in_tool_is_refused_when_forced_even_if_it_was_not_offered(lasting_world: World) -> None:
    customer = lasting_world.customer()

    choices: list[dict[str, Any]] = [{"type": "web_search"}, {"type": {}}, {}]
    for choice in choices:
        answer = await lasting_world.chat(customer, tool_choice=choice)
        refused(answer, 400, "unsupported_parameter", param="tool_choice")

    await nothing_reserved(lasting_world, customer)


@pytest.mark.parametrize("tools", [[WEB_SEARCH], [WEB_SEARCH, {"type": "code_interpreter"}], [FUNCTION, WEB_SEARCH]])
async def test_built_in_tools_that_are_only_offered_are_taken_out(
    lasting_world: World, lasting_upstream: ScriptedUpstream, tools: list[dict[str, Any]]
) -> None:
    answer = await lasting_world.chat(lasting_world.customer(), tools=tools, tool_choice="auto")

    assert answer.status_code == 200
    [asked] = lasting_upstream.asked
    kept = [tool for tool in tools if tool == FUNCTION]
    assert asked.body.get("tools", []) == kept
    assert ("tool_choice" in asked.body) == bool(kept)


@pytest.mark.parametrize(
    ("caps", "sent"),
    [
        ({}, 512),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 9, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 7),
        ({"max_tokens": None, "max_completion_tokens": 9}, 9),
        ({"max_tokens": 10_000_000}, 2048),
    ],
)
async def test_all_caps_become_the_one_that_was_reserved_for(
    lasting_world: World, lasting_upstream: ScriptedUpstream, caps: dict[str, int | None], sent: int
) -> None:
    customer = lasting_world.customer(margin_bps=0)

    assert (await lasting_world.chat(customer, **caps)).status_code == 200

    [asked] = lasting_upstream.asked
    assert asked.body["max_tokens"] == sent
    assert not asked.body.keys() & {"max_completion_tokens", "n_predict", "max_output_tokens"}
    [entry] = await lasting_world.ledger(customer)
    input_nano_usd = entry.reserved_nano_usd - sent * 2_000
    assert 0 < input_nano_usd < 100 * 1_000, "what was reserved is this cap, and an input of some tokens"


async def test_a_cap_that_is_written_twice_counts_once_the_same_for_the_gate_and_the_model(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    customer = lasting_world.customer(margin_bps=0)
    raw = json.dumps(CHAT | {"max_tokens": 5}).encode().replace(b'"model"', b'"max_tokens": 2000, "model"')

    assert (await post(lasting_world, customer, raw)).status_code == 200

    [entry] = await lasting_world.ledger(customer)
    assert lasting_upstream.asked[0].body["max_tokens"] * 2_000 + 100_000 > entry.reserved_nano_usd


@pytest.mark.parametrize("content", ["\ud800", "\udfff\ud800 a", "é" * 5000, "\x00\x1b[2J", "🦆", LONG])
async def test_strange_and_long_texts_are_served_measured_and_charged(lasting_world: World, content: str) -> None:
    customer = lasting_world.customer()
    raw = json.dumps(CHAT | {"messages": [USER | {"content": content}], "max_tokens": 3}).encode()

    answer = await post(lasting_world, customer, raw)

    assert answer.status_code == 200
    [entry] = await lasting_world.ledger(customer)
    assert 0 < entry.figures.charge_nano_usd <= entry.reserved_nano_usd


@pytest.mark.parametrize("text", ["\ud800", LONG, "a\nb\x00", "test-model "])
async def test_a_strange_or_long_name_is_refused_and_not_given_back_at_length(lasting_world: World, text: str) -> None:
    customer = lasting_world.customer()

    by_model = await post(lasting_world, customer, json.dumps(CHAT | {"model": text}).encode())
    by_field = await post(lasting_world, customer, json.dumps(CHAT | {text: 1}).encode())
    by_tool = await post(lasting_world, customer, json.dumps(CHAT | {"tool_choice": {"type": text}}).encode())

    refused(by_model, 404, "model_not_found", param="model")
    for answer in (by_field, by_tool):
        error = answer.json()["error"]
        refused(answer, 400, "unsupported_parameter", param=error["param"])
    await nothing_reserved(lasting_world, customer)

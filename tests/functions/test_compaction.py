"""A history that is summed up: what its client gets for it, what it pays, and that a model can go on from it."""

from typing import Any

import httpx
import pytest
from jatevo_testing.refusals import nothing_reserved, refused
from jatevo_testing.responses import check_response
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, Customer, World
from openai.types.responses import CompactedResponse

COMPACT = "/v1/responses/compact"
SUMMARY = "Ada wants two numbers added, in Zürich: 数字."
USER: dict[str, Any] = {"role": "user", "content": "add them"}
CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "3"}


async def post(world: World, customer: Customer, path: str = COMPACT, **body: Any) -> httpx.Response:
    return await world.client.post(path, json={"model": "test-model", **body}, headers=customer.headers)


async def compacted(world: World, customer: Customer, path: str = COMPACT, **body: Any) -> dict[str, Any]:
    answer = await post(world, customer, path, **body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    assert made["object"] == "response.compaction"
    # The published list of types has no message of the user, though its description begins with them.
    checked = CompactedResponse.model_validate({**made, "output": made["output"][-1:]}, strict=True)
    assert checked.usage.total_tokens == 30
    assert len({item["id"] for item in made["output"]}) == len(made["output"])
    assert [item["type"] for item in made["output"]][-1] == "compaction"
    return made


@pytest.mark.parametrize("path", [COMPACT, "/backend-api/codex/responses/compact"])
async def test_a_history_becomes_its_users_messages_and_one_item(
    world: World, upstream: ScriptedUpstream, path: str
) -> None:
    upstream.script = answering(SUMMARY, usage(10, 20))
    customer = world.customer(margin_bps=0)

    made = await compacted(world, customer, path, input=[USER, CALL, OUTPUT], instructions="be exact")

    [kept, summary] = made["output"]
    assert (kept["role"], kept["content"]) == ("user", [{"type": "input_text", "text": "add them"}])
    assert SUMMARY not in summary["encrypted_content"]
    assert made["usage"]["cost_usd"] == "0.00005"
    [asked] = upstream.asked
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert asked.body["max_tokens"] == MODEL["default_output_tokens"]
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == 50_000


async def test_any_model_goes_on_from_what_was_summed_up(world: World, upstream: ScriptedUpstream) -> None:
    pool = {"base_url": upstream.base_url, "wire": ["responses"]}
    native = {**MODEL, "id": "native", "routes": [{"pool": "native", "model": "x"}]}
    chat = {"id": "main", "base_url": upstream.base_url}
    world.put_catalogue({"pools": [chat, {"id": "native", **pool}], "models": [MODEL, native]})
    upstream.script = answering(SUMMARY, usage(10, 20))
    customer = world.customer()
    made = await compacted(world, customer, input=[USER])
    following = {"input": [*made["output"], {"role": "user", "content": "and?"}], "store": False}

    check_response((await post(world, customer, "/v1/responses", **following)).json())
    await post(world, customer, "/v1/responses", **following, model="native")

    over_chat, over_native = upstream.asked[-2].body["messages"], upstream.asked[-1].body["input"]
    assert [message["role"] for message in over_chat] == ["user", "user", "user"]
    assert over_chat[1]["content"].endswith(SUMMARY)
    assert over_native[1]["content"] == over_chat[1]["content"]


async def test_what_was_summed_up_is_summed_up_again(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering(SUMMARY, usage(10, 20))
    customer = world.customer()
    once = await compacted(world, customer, input=[USER])
    twice = await compacted(world, customer, input=[*once["output"], USER])

    assert [item["type"] for item in twice["output"]] == ["message", "message", "compaction"]
    assert upstream.asked[-1].body["messages"][1]["content"].endswith(SUMMARY)


async def test_a_stored_response_is_summed_up_with_all_before_it_and_stored_with_what_follows(
    world: World, upstream: ScriptedUpstream
) -> None:
    upstream.script = answering(SUMMARY, usage(10, 20))
    customer = world.customer()
    first = (await post(world, customer, "/v1/responses", input="one")).json()

    made = await compacted(world, customer, previous_response_id=first["id"])
    following = (await post(world, customer, "/v1/responses", input=[*made["output"], USER])).json()
    last = (await post(world, customer, "/v1/responses", input="go on", previous_response_id=following["id"])).json()

    assert last["status"] == "completed"
    shown = [message["content"] for message in upstream.asked[-1].body["messages"]]
    assert (shown[0], shown[2], shown[4]) == ("one", "add them", "go on")
    assert shown[1].endswith(SUMMARY)


async def test_nothing_of_it_is_stored(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering(SUMMARY, usage(10, 20))
    customer = world.customer()
    made = await compacted(world, customer, input=[USER])
    unknown = await post(world, customer, "/v1/responses", input="x", previous_response_id=made["id"])
    assert refused(unknown, 400, "previous_response_not_found", param="previous_response_id")


async def test_an_answer_without_a_summary_is_no_answer(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("", usage(10, 0))
    customer = world.customer()
    answer = await post(world, customer, input=[USER])
    assert refused(answer, 502, "upstream_error", kind="api_error")
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == 0


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"input": [USER], "stream": True}, "unsupported_parameter", "stream"),
        ({"input": [USER], "max_output_tokens": 5}, "unsupported_parameter", "max_output_tokens"),
        ({"input": [USER], "prompt_cache_retention": "24h"}, "unsupported_parameter", "prompt_cache_retention"),
        ({"input": [CALL]}, "invalid_value", "input"),
        ({"previous_response_id": "resp_x"}, "previous_response_not_found", "previous_response_id"),
        ({}, "missing_required_parameter", "input"),
    ],
)
async def test_what_is_wrong_is_named(world: World, body: dict[str, Any], code: str, param: str) -> None:
    customer = world.customer()
    assert refused(await post(world, customer, **body), 400, code, param=param)
    await nothing_reserved(world, customer)


async def test_a_foreign_summary_is_another_providers_to_read(world: World, upstream: ScriptedUpstream) -> None:
    for content in ("gAAAA", "jatevo1.%%%", "jatevo1./w=="):
        item = {"type": "compaction", "encrypted_content": content}
        answer = await post(world, world.customer(), "/v1/responses", input=[item, USER])
        assert refused(answer, 400, "unsupported_parameter", param="input")
    assert not upstream.asked

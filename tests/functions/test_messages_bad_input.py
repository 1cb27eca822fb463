"""Messages that no model should see, and limits that stop one: each in the shape of Anthropic's errors."""

import json
from typing import Any

import httpx
import pytest
from anthropic.types import ErrorResponse
from jatevo_testing.refusals import nothing_reserved, untouched
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream
from jatevo_testing.world import Customer, World

TOOL = {"name": "f", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
USE = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "x"}
INVALID, MISSING, UNSUPPORTED = "invalid_value", "missing_required_parameter", "unsupported_parameter"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def ask(world: World, customer: Customer, **body: Any) -> httpx.Response:
    said = [{"role": "user", "content": "hello"}]
    asked = {"model": "test-model", "max_tokens": 100, "messages": said, **body}
    return await world.client.post("/v1/messages", json=asked, headers={"x-api-key": customer.secret})


def refused(answer: httpx.Response, status: int, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Check an error against Anthropic's shape, and return it."""
    body = answer.json()
    if kind != "request_too_large":  # documented, and missing from the published types
        ErrorResponse.model_validate(body, strict=True)
    error: dict[str, Any] = body["error"]
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (status, kind, code, param), error
    assert body["request_id"] == answer.headers["request-id"]
    assert len(answer.content) < 4096
    assert "secret" not in answer.text
    return error


def said(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


def turns(*contents: list[dict[str, Any]]) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": content} for place, content in enumerate(contents)]}


HELLO = [{"type": "text", "text": "hello"}]
FIRST = "messages[0].content[0]"
FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no cap": ({"max_tokens": None}, MISSING, "max_tokens"),
    "cap zero": ({"max_tokens": 0}, INVALID, "max_tokens"),
    "no messages": ({"messages": None}, MISSING, "messages"),
    "no message": ({"messages": []}, INVALID, "messages"),
    "a message that is none": ({"messages": ["x"]}, INVALID, "messages[0]"),
    "another role": ({"messages": [{"role": "tool", "content": "x"}]}, INVALID, "messages[0].role"),
    "no content": ({"messages": [{"role": "user"}]}, MISSING, "messages[0].content"),
    "nothing in it": (said(), INVALID, "messages[0].content"),
    "nothing at all": (said(role="assistant"), INVALID, "messages"),
    "a block that is none": (said("x"), INVALID, f"{FIRST}.type"),
    "a block of no type": (said({"type": "video"}), INVALID, f"{FIRST}.type"),
    "a block of a tool that is not run here": (said({"type": "container_upload"}), UNSUPPORTED, f"{FIRST}.type"),
    "a text of none": (said({"type": "text"}), INVALID, FIRST),
    "an uploaded picture": (
        said({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        UNSUPPORTED,
        f"{FIRST}.source.type",
    ),
    "a picture from the disk": (
        said({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}),
        INVALID,
        f"{FIRST}.source",
    ),
    "a document to fetch": (
        said({"type": "document", "source": {"type": "url", "url": "https://x"}}),
        UNSUPPORTED,
        f"{FIRST}.source.type",
    ),
    "a picture nobody sells": (
        said({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}),
        "unsupported_modality",
        "messages",
    ),
    "a PDF nobody sells": (
        said({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}),
        "unsupported_modality",
        "messages",
    ),
    "a result of no call": (turns([RESULT]), INVALID, FIRST),
    "two results": (turns(HELLO, [USE], [RESULT, RESULT]), INVALID, "messages[2].content[1]"),
    "a call without its result": (turns(HELLO, [USE], HELLO), INVALID, "messages"),
    "two calls of one id": (turns(HELLO, [USE, USE], [RESULT]), INVALID, "messages[1].content[1]"),
    "a call of nothing": (turns(HELLO, [{**USE, "input": "{}"}]), INVALID, "messages[1].content[0].input"),
    "a call without an id": (turns(HELLO, [{**USE, "id": ""}]), INVALID, "messages[1].content[0].id"),
    "system a number": ({"system": 7}, INVALID, "system"),
    "a picture as system": ({"system": [{"type": "image"}]}, INVALID, "system[0]"),
    "a tool without a schema": ({"tools": [{"name": "f"}]}, INVALID, "tools[0].input_schema"),
    "a schema that is none": (
        {"tools": [{**TOOL, "input_schema": {"type": "strng"}}]},
        INVALID,
        "tools[0].input_schema.type",
    ),
    "a tool without a name": ({"tools": [{"input_schema": {}}]}, INVALID, "tools[0].name"),
    "two tools of one name": ({"tools": [TOOL, TOOL]}, INVALID, "tools"),
    "a choice of nothing": ({"tool_choice": {"type": "any"}}, UNSUPPORTED, "tool_choice"),
    "a choice of another": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}},
        INVALID,
        "tool_choice.name",
    ),
    "a forced tool that is not run here": (
        {"tools": [TOOL, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        UNSUPPORTED,
        "tool_choice",
    ),
    "only such a tool, one required": ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, UNSUPPORTED, "tool_choice"),
    "hot": ({"temperature": 1.5}, INVALID, "temperature"),
    "too little thinking": (
        {"thinking": {"type": "enabled", "budget_tokens": 5}, "max_tokens": 9},
        INVALID,
        "thinking.budget_tokens",
    ),
    "more thinking than answer": (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 2000},
        INVALID,
        "thinking.budget_tokens",
    ),
    "thinking of another kind": ({"thinking": {"type": "deep"}}, INVALID, "thinking.type"),
    "effort unknown": ({"output_config": {"effort": "huge"}}, INVALID, "output_config.effort"),
    "a form unknown": ({"output_config": {"format": {"type": "xml"}}}, INVALID, "output_config.format.type"),
    "another tier": ({"service_tier": "priority"}, INVALID, "service_tier"),
    "faster": ({"speed": "fast"}, INVALID, "speed"),
    "top_k, where no pool takes it": ({"top_k": 5}, UNSUPPORTED, "top_k"),
    "a container": ({"container": "c"}, UNSUPPORTED, "container"),
    "tools on other machines": ({"mcp_servers": [{"url": "https://x"}]}, UNSUPPORTED, "mcp_servers"),
    "edits of the context": (
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        UNSUPPORTED,
        "context_management.edits[0]",
    ),
    "OpenAI's cap": ({"max_completion_tokens": 7}, UNSUPPORTED, "max_completion_tokens"),
    "a field nobody knows": ({"x" * 500: 1}, UNSUPPORTED, "x" * 64 + "…"),
}


@pytest.mark.parametrize("name", FIELDS)
async def test_what_is_wrong_is_named_as_it_was_sent(
    lasting_world: World, lasting_upstream: ScriptedUpstream, name: str
) -> None:
    body, code, param = FIELDS[name]
    customer = lasting_world.customer()

    answer = await ask(lasting_world, customer, **body)

    error = refused(answer, 400, "invalid_request_error", code, param)
    assert "'input" not in error["message"], "an item has no name that its client does not know"
    untouched(answer, customer)
    await nothing_reserved(lasting_world, customer)
    assert not lasting_upstream.asked


async def test_what_a_pool_does_not_take_is_named_as_it_was_sent(
    lasting_world: World, lasting_upstream: ScriptedUpstream
) -> None:
    refuse = ["stop", "reasoning_effort", "response_format"]
    lasting_world.apply_catalogue(base_url=lasting_upstream.base_url, refuse_fields=refuse, pass_fields=["top_k"])
    cases: dict[str, dict[str, Any]] = {
        "stop_sequences": {"stop_sequences": ["x"]},
        "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1025},
        "output_config.format": {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    }
    for param, body in cases.items():
        answer = await ask(lasting_world, lasting_world.customer(), **body)
        refused(answer, 400, "invalid_request_error", UNSUPPORTED, param)
    served = await ask(lasting_world, lasting_world.customer(), top_k=5, thinking={"type": "adaptive"})
    assert served.status_code == 200
    assert lasting_upstream.asked[0].body["top_k"] == 5
    lasting_world.apply_catalogue(base_url=lasting_upstream.base_url)


async def test_who_asks_and_for_what_is_told_in_anthropics_words(lasting_world: World) -> None:
    customer = lasting_world.customer()
    body = {"model": "test-model", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    post = lasting_world.client.post
    refused(await post("/v1/messages", json=body), 401, "authentication_error", "invalid_api_key")
    wrong = await post("/v1/messages", json=body, headers={"x-api-key": "sk-ant-x"})
    refused(wrong, 401, "authentication_error", "invalid_api_key")
    unknown = await ask(lasting_world, customer, model="none")
    refused(unknown, 404, "not_found_error", "model_not_found", "model")
    narrow = lasting_world.customer(models=frozenset({"flat-model"}))
    refused(await ask(lasting_world, narrow), 403, "permission_error", "model_not_allowed", "model")
    large = await ask(lasting_world, customer, system="x" * 7 * 1024**2)
    refused(large, 413, "request_too_large", "request_too_large")
    no_json = await post("/v1/messages", content=b"{", headers=customer.headers)
    refused(no_json, 400, "invalid_request_error", "invalid_json")
    got = await lasting_world.client.get("/v1/messages", headers=customer.headers)
    refused(got, 405, "invalid_request_error", "method_not_allowed")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_empty_quota_says_what_every_route_says_of_it(lasting_world: World, *, stream: bool) -> None:
    customer = lasting_world.customer(requests=1)
    assert (await ask(lasting_world, customer)).status_code == 200

    answer = await ask(lasting_world, customer, stream=stream)

    error = refused(answer, 429, "rate_limit_error", "request_quota_exhausted")
    assert "quota of 1 request" in error["message"]
    assert "$JTVO" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert int(answer.headers["retry-after"]) > 0
    assert error["resets_at"] > 0


async def test_a_projection_that_does_not_fit_says_what_would(lasting_world: World) -> None:
    customer = lasting_world.customer(budget_nano_usd=1_500_000)
    answer = await ask(lasting_world, customer, max_tokens=2000)
    error = refused(answer, 429, "rate_limit_error", "projected_cost_exceeds_budget")
    assert error["affordable_output_tokens"] > 0
    assert await lasting_world.ledger(customer) == []


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (400, "context_length_exceeded", "invalid_request_error", 400),
        (500, "upstream_error", "api_error", 502),
    ],
)
async def test_an_upstreams_failure_is_an_error_of_this_format(
    lasting_world: World, lasting_upstream: ScriptedUpstream, status: int, code: str, kind: str, told: int
) -> None:
    async def failing(_: Asked, connection: Connection) -> None:
        error = {"message": "secret", "code": "context_length_exceeded" if status == 400 else "x"}
        await connection.reply(status, {"error": error})

    lasting_upstream.script = failing
    answer = await ask(lasting_world, lasting_world.customer(), stream=True)
    error = answer.json()["error"]
    refused(answer, told, kind, code, error["param"])
    assert error["param"] in {"messages", None}
    assert json.dumps(error)

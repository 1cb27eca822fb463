"""Responses from the real model through the OpenAI SDK, over both engines: llama.cpp speaks chat and Responses."""

from collections.abc import Iterator
from typing import Any

import pytest
from jatevo_testing.responses import check_response, check_stream
from jatevo_testing.stack import Stack, start
from openai.types.responses import Response, ToolParam

from jatevo_local.engine import PROJECT
from jatevo_local.ports import free_port

WEATHER: ToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


NATIVE = """
[[pools]]
id = "native"
base_url = "${JATEVO_LOCAL_MODEL_URL}"
api_key = "env:JATEVO_LOCAL_MODEL_KEY"
wire = ["responses"]

[[models]]
id = "native"
context_window = 2048
max_output_tokens = 1536
price = { input = "0.15", output = "0.60" }
routes = [{ pool = "native", model = "smollm2-135m-instruct" }]
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack, which sells the model over a pool that speaks Responses, too."""
    running = start(free_port(), tmp_path_factory.mktemp("stack"))
    catalogue = running.data / "both.toml"
    catalogue.write_text((PROJECT / "local" / "catalog.toml").read_text() + NATIVE)
    running.cli("catalog", "apply", str(catalogue))
    yield running
    running.stop()


@pytest.mark.parametrize("model", ["smollm2", "native"])
def test_a_response_and_its_stream_are_of_the_published_form(stack: Stack, model: str) -> None:
    client = stack.client()
    plain = client.responses.with_raw_response.create(model=model, input="Say hello.", max_output_tokens=16)
    body = check_response(plain.http_response.json())
    assert body["usage"]["output_tokens"] > 0

    with client.responses.with_streaming_response.create(
        model=model, input="Count to five.", max_output_tokens=16, stream=True, previous_response_id=body["id"]
    ) as answer:
        streamed = check_stream(b"".join(answer.iter_bytes()))

    assert streamed.text
    assert streamed.last["usage"]["input_tokens"] > body["usage"]["input_tokens"]
    assert streamed.last["usage"]["cost_usd"] == cost_in_the_ledger(stack, streamed.last["id"])


@pytest.mark.parametrize("model", ["smollm2", "native"])
def test_a_tool_call_makes_its_round_trip(stack: Stack, model: str) -> None:
    client = stack.client()
    first: Response = client.responses.create(
        model=model,
        input="What is the weather in Paris? Use the tool.",
        tools=[WEATHER],
        tool_choice="required",
        temperature=0,
        max_output_tokens=80,
    )
    calls = [item for item in first.output if item.type == "function_call"]
    assert calls[0].name == "get_weather"

    outputs: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees and sunny"} for call in calls
    ]
    second = client.responses.create(
        model=model, input=outputs, tools=[WEATHER], previous_response_id=first.id, max_output_tokens=40
    )

    assert second.output


def cost_in_the_ledger(stack: Stack, response_id: str) -> str:
    [account] = stack.cli("account", "list")["accounts"]
    entries = stack.cli("ledger", "list", "--account", account["account_id"])["entries"]
    [charge] = [entry["charge_nano_usd"] for entry in entries if f"resp_{entry['reservation_id']}" == response_id]
    return f"{charge / 10**9:.9f}".rstrip("0")

"""`make run` as a person meets it: the real stack, a real model, the real OpenAI SDK."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jatevo_testing.stack import Stack, start

from jatevo_cli.smoke import Smoke, run
from jatevo_local.ports import free_port

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def stack(data: Path) -> Iterator[Stack]:
    running = start(free_port(), data)
    yield running
    if running.process.poll() is None:
        running.stop()


def test_it_prints_all_that_a_person_needs(stack: Stack) -> None:
    assert stack.url in stack.printed
    assert stack.admin_token in stack.printed
    assert f"curl -N {stack.url}/v1/chat/completions" in stack.printed
    assert httpx.get(f"{stack.url}/health").status_code == 200


def test_plain_chat_charges_usage_times_price_times_margin(stack: Stack) -> None:
    answer = stack.client().chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "Say hello."}], max_tokens=16
    )
    usage = answer.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    cached = usage.prompt_tokens_details.cached_tokens or 0
    femto = (usage.prompt_tokens - cached) * 150_000_000 + cached * 15_000_000 + usage.completion_tokens * 600_000_000
    charge = -(-femto * 11_000 // (10**6 * 10**4))
    [account] = stack.cli("account", "list")["accounts"]
    entries = stack.cli("ledger", "list", "--account", account["account_id"])["entries"]
    assert [entry["charge_nano_usd"] for entry in entries if entry["reservation_id"] in answer.id] == [charge]


def test_a_stream_from_the_real_model_ends_with_its_usage(stack: Stack) -> None:
    chunks = list(
        stack.client().chat.completions.create(
            model="smollm2",
            messages=[{"role": "user", "content": "Count to five."}],
            max_tokens=24,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_several_choices_are_counted_in_full(stack: Stack) -> None:
    answer = stack.client().chat.completions.create(
        model="smollm2", messages=[{"role": "user", "content": "Tell a story."}], max_tokens=12, n=2
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert 12 < answer.usage.completion_tokens <= 24


def test_a_tool_call_makes_its_round_trip(stack: Stack) -> None:
    question: list[Any] = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    client = stack.client()
    first = client.chat.completions.create(
        model="smollm2",
        messages=question,
        tools=[WEATHER],
        temperature=0,
        max_tokens=80,
    )
    [call] = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    history = [*question, first.choices[0].message.model_dump(exclude_none=True), result]
    answer = client.chat.completions.create(model="smollm2", messages=history, tools=[WEATHER], max_tokens=40)
    assert answer.choices[0].message.content or answer.choices[0].message.tool_calls


def test_models_and_usage_are_free(stack: Stack) -> None:
    client = stack.client()
    before = client.get("/usage", cast_to=httpx.Response).json()
    assert [model.id for model in client.models.list()] == ["smollm2"]
    after = client.get("/usage", cast_to=httpx.Response).json()
    assert before["limits"] == after["limits"]


def test_the_window_satisfies_the_identities(stack: Stack) -> None:
    [account] = stack.cli("account", "list")["accounts"]
    window = stack.cli("window", "show", "--account", account["account_id"])
    entries = stack.cli("ledger", "list", "--account", account["account_id"])["entries"]
    held = sum(hold["amount_nano_usd"] for hold in window["open"].values())
    assert window["budget_left_nano_usd"] + window["settled_nano_usd"] + held == window["budget_limit_nano_usd"]
    assert window["settled_nano_usd"] == sum(entry["charge_nano_usd"] for entry in entries)
    counted = sum(entry["outcome"] != "released" for entry in entries)
    assert window["requests_limit"] - window["requests_left"] == counted


def test_the_smoke_checks_hold(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Smoke(stack.url, stack.key)), capsys.readouterr().out


def test_a_second_stack_is_told_what_is_in_its_way(stack: Stack, tmp_path: Path) -> None:
    same_port = start(stack.port, tmp_path)
    assert same_port.process.returncode == 1
    assert f"port {stack.port}, wanted for the gateway, is taken" in same_port.printed
    same_data = start(free_port(), stack.data)
    assert same_data.process.returncode == 1
    assert "another stack runs on" in same_data.printed
    assert "Traceback" not in same_port.printed + same_data.printed


def test_it_ends_with_all_its_children_and_finds_its_data_again(stack: Stack, data: Path) -> None:
    [account] = stack.cli("account", "list")["accounts"]
    before = stack.cli("window", "show", "--account", account["account_id"])
    children = list(stack.children())
    assert len(children) >= 4
    assert stack.stop() == 0
    _wait_until_gone(children)

    again = start(stack.port, data)
    try:
        assert again.key == stack.key
        assert again.cli("window", "show", "--account", account["account_id"]) == before
        assert again.cli("catalog", "show")["version"] == 1
    finally:
        assert again.stop(signal.SIGINT) == 0


def _wait_until_gone(pids: list[int]) -> None:
    gives_up_at = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < gives_up_at, "a child outlived the stack"
        time.sleep(0.05)


def test_a_port_that_another_program_uses_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = start(other.getsockname()[1], tmp_path)
        assert refused.process.returncode == 1
    assert len(refused.printed.strip().splitlines()) == 1

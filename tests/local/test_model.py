"""
The local model is an upstream such as the gateway expects, and differs where `jatevo_local.model` says so.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam

from jatevo_local.model import Model, start_model
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

KEY = "local-model-key"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Children(tmp_path_factory.mktemp("model") / "logs") as children:
        yield start_model(children, free_port(), KEY)


@pytest.fixture
def client(model: Model) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=model.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


def raw(model: Model, body: dict[str, object], key: str = KEY) -> httpx.Response:
    return httpx.post(
        f"{model.base_url}/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60
    )


def test_a_stream_ends_with_its_usage(client: openai.OpenAI, model: Model) -> None:
    with client.chat.completions.create(
        model=model.name, messages=HELLO, max_tokens=5, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert [bool(chunk.choices) for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens <= 5
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_has_no_usage_unless_asked(client: openai.OpenAI, model: Model) -> None:
    with client.chat.completions.create(model=model.name, messages=HELLO, max_tokens=2, stream=True) as stream:
        assert all(chunk.usage is None for chunk in stream)


def test_a_function_is_called_and_its_answer_taken(client: openai.OpenAI, model: Model) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Jakarta?"}]
    first = client.chat.completions.create(
        model=model.name, messages=messages, tools=[WEATHER], max_tokens=60, temperature=0
    ).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    call = first.message.tool_calls[0]
    assert call.type == "function"
    assert (call.function.name, call.function.arguments) == ("get_weather", '{"city": "Jakarta"}')
    messages += [
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "sunny"}'},
    ]
    second = client.chat.completions.create(
        model=model.name, messages=messages, tools=[WEATHER], max_tokens=40, temperature=0
    ).choices[0]
    assert second.message.content


@pytest.mark.parametrize(
    ("limits", "written"),
    [
        ({"max_tokens": 3}, 3),
        ({"max_tokens": 3, "max_completion_tokens": 5}, 5),
        ({"max_tokens": 3, "max_completion_tokens": 4, "n_predict": 6}, 6),
        ({"max_tokens": 3, "max_output_tokens": 9}, 3),
        ({"max_tokens": 0}, 1),
    ],
)
def test_which_limit_wins(model: Model, limits: dict[str, object], written: int) -> None:
    answer = raw(model, {"messages": HELLO, "ignore_eos": True, **limits}).json()
    assert answer["usage"]["completion_tokens"] == written


def test_usage_of_several_choices_counts_one(model: Model) -> None:
    answer = raw(model, {"messages": HELLO, "max_tokens": 3, "n": 2, "ignore_eos": True}).json()
    assert len(answer["choices"]) == 2
    assert answer["usage"]["completion_tokens"] == 3


def test_another_key_is_refused(model: Model) -> None:
    assert raw(model, {"messages": HELLO}, key="guess").status_code == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"max_tokens": 3}, "invalid_request_error"),
        ({"messages": "x"}, "invalid_request_error"),
        ({"messages": HELLO, "max_tokens": "3"}, "invalid_request_error"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, "exceed_context_size_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_bad_input_is_refused_before_a_stream(
    model: Model, body: dict[str, object], kind: str, *, stream: bool
) -> None:
    answer = raw(model, {**body, "stream": stream})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, kind)


def test_the_key_is_on_no_command_line(model: Model) -> None:
    assert KEY not in Path(f"/proc/{model.process.pid}/cmdline").read_text()

"""Responses requests as chat requests, case by case."""

from typing import Any

import pytest

from jatevo.adapters.wire.responses_to_chat import chat_fields, offered_tools, untranslatable

USER = {"type": "message", "role": "user", "content": "hi"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}
FUNCTION = {"type": "function", "name": "f", "description": "does", "parameters": PARAMETERS, "strict": True}
CUSTOM = {"type": "custom", "name": "patch", "description": "patches"}

CHAT_USER = {"role": "user", "content": "hi"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CHAT_TURN = {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}
CHAT_OUTPUT = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}


def messages(*items: dict[str, Any], **fields: Any) -> Any:
    return chat_fields({"input": items, **fields})["messages"]


def system(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "developer", "content": text}


MESSAGES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "a text": ([USER], [CHAT_USER]),
    "parts of text": (
        [{**USER, "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
        [{"role": "user", "content": "a\nb"}],
    ),
    "a picture": (
        [{**USER, "content": [{"type": "input_text", "text": "see"}, PICTURE]}],
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                ],
            }
        ],
    ),
    "sound": (
        [{**USER, "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]}],
        [
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
            }
        ],
    ),
    "a text file": (
        [{**USER, "content": [{"type": "input_file", "filename": "a.md", "file_data": "data:text/plain;base64,aGk="}]}],
        [{"role": "user", "content": '<file name="a.md">\nhi\n</file>'}],
    ),
    "another file": (
        [
            {
                **USER,
                "content": [
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                    }
                ],
            }
        ],
    ),
    "system messages in front": (
        [system("a"), system("b"), USER],
        [{"role": "system", "content": "a\n\nb"}, CHAT_USER],
    ),
    "a system message later": (
        [USER, system("a")],
        [CHAT_USER, {"role": "system", "content": "a"}],
    ),
    "an answer": ([USER, SAID, USER], [CHAT_USER, {"role": "assistant", "content": "hello"}, CHAT_USER]),
    "a refusal": (
        [USER, {**SAID, "content": [{"type": "refusal", "refusal": "no"}]}],
        [CHAT_USER, {"role": "assistant", "content": "no"}],
    ),
    "a call and its output": ([USER, CALL, OUTPUT], [CHAT_USER, CHAT_TURN, CHAT_OUTPUT]),
    "words before a call": (
        [USER, SAID, CALL, OUTPUT],
        [CHAT_USER, {**CHAT_TURN, "content": "hello"}, CHAT_OUTPUT],
    ),
    "calls side by side": (
        [USER, CALL, {**CALL, "call_id": "c2"}, OUTPUT, {**OUTPUT, "call_id": "c2"}],
        [
            CHAT_USER,
            {**CHAT_TURN, "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}]},
            CHAT_OUTPUT,
            {**CHAT_OUTPUT, "tool_call_id": "c2"},
        ],
    ),
    "calls one after the other": (
        [USER, CALL, OUTPUT, {**CALL, "call_id": "c2"}, {**OUTPUT, "call_id": "c2"}],
        [
            CHAT_USER,
            CHAT_TURN,
            CHAT_OUTPUT,
            {**CHAT_TURN, "tool_calls": [{**CHAT_CALL, "id": "c2"}]},
            {**CHAT_OUTPUT, "tool_call_id": "c2"},
        ],
    ),
    "an output behind another message": (
        [USER, CALL, USER, OUTPUT],
        [CHAT_USER, CHAT_TURN, CHAT_OUTPUT, CHAT_USER],
    ),
    "a call that was cut off": ([USER, {**CALL, "status": "incomplete"}, USER], [CHAT_USER, CHAT_USER]),
    "reasoning is dropped": (
        [USER, {"type": "reasoning", "summary": [], "encrypted_content": "x"}, CALL, OUTPUT],
        [CHAT_USER, CHAT_TURN, CHAT_OUTPUT],
    ),
    "a custom call": (
        [
            USER,
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'a "b"'},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
        ],
        [
            CHAT_USER,
            {
                **CHAT_TURN,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "patch", "arguments": '{"input":"a \\"b\\""}'},
                    }
                ],
            },
            {**CHAT_OUTPUT, "content": "done"},
        ],
    ),
    "a picture as output": (
        [USER, CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "seen"}, PICTURE]}],
        [
            CHAT_USER,
            CHAT_TURN,
            {**CHAT_OUTPUT, "content": "seen"},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}],
            },
        ],
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_items_become_messages(name: str) -> None:
    items, expected = MESSAGES[name]

    assert messages(*items) == expected


def test_instructions_come_first_and_with_other_leading_system_messages() -> None:
    assert messages(USER, instructions="be kind") == [{"role": "system", "content": "be kind"}, CHAT_USER]
    assert messages(system("a"), USER, instructions="be kind")[0] == {"role": "system", "content": "be kind\n\na"}


AS_FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "does", "parameters": PARAMETERS, "strict": True},
}
AS_CUSTOM: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "patch",
        "description": "patches",
        "parameters": {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]},
    },
}
FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "same names": (
        {"temperature": 0.5, "top_p": 0.9, "user": "u", "prompt_cache_key": "k", "safety_identifier": "s"},
        {"temperature": 0.5, "top_p": 0.9, "user": "u", "prompt_cache_key": "k", "safety_identifier": "s"},
    ),
    "reasoning": ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
    "reasoning of this turn": ({"reasoning": {"context": "current_turn", "mode": None, "later": None}}, {}),
    "verbosity": ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    "plain text": ({"text": {"format": {"type": "text"}}}, {}),
    "some JSON": ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    "JSON by a schema": (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": PARAMETERS, "strict": True}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": PARAMETERS, "strict": True},
            }
        },
    ),
    "log probabilities": (
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 2},
    ),
    "what only built-in tools know": ({"max_tool_calls": 3, "truncation": "disabled"}, {}),
    "includes of other kinds": ({"include": ["reasoning.encrypted_content"]}, {}),
    "tools": ({"tools": [FUNCTION, CUSTOM]}, {"tools": [AS_FUNCTION, AS_CUSTOM]}),
    "a grammar": (
        {"tools": [{**CUSTOM, "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}}]},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        **AS_CUSTOM["function"],
                        "description": "patches\n\nThe input must match this lark grammar:\nstart: X",
                    },
                }
            ]
        },
    ),
    "tools nobody there can call": ({"tools": [{"type": "local_shell"}], "parallel_tool_calls": True}, {}),
    "a mode": ({"tools": [FUNCTION], "tool_choice": "required"}, {"tools": [AS_FUNCTION], "tool_choice": "required"}),
    "a named function": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [AS_FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "a named custom tool": (
        {"tools": [CUSTOM], "tool_choice": {"type": "custom", "name": "patch"}},
        {"tools": [AS_CUSTOM], "tool_choice": {"type": "function", "function": {"name": "patch"}}},
    ),
    "allowed tools": (
        {
            "tools": [FUNCTION, CUSTOM],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
        },
        {"tools": [AS_FUNCTION], "tool_choice": "required"},
    ),
    "what a pool lists": ({"seed": 7}, {"seed": 7}),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_become_fields(name: str) -> None:
    fields, expected = FIELDS[name]

    assert chat_fields({"input": (USER,), **fields}) == {"messages": [CHAT_USER], **expected}


UNTRANSLATABLE: dict[str, tuple[dict[str, Any], str]] = {
    "an item of another type": ({"input": (USER, {"type": "local_shell_call"})}, "input of the type local_shell_call"),
    "a forced tool nobody can call": (
        {"tools": [{"type": "local_shell"}], "tool_choice": {"type": "local_shell"}},
        "tool_choice",
    ),
    "some tool, where nobody can call any": (
        {"tools": [{"type": "local_shell"}], "tool_choice": "required"},
        "tool_choice",
    ),
    "reasoning in another manner": ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
}


@pytest.mark.parametrize("name", UNTRANSLATABLE)
def test_what_has_no_equal_is_named(name: str) -> None:
    body, field = UNTRANSLATABLE[name]

    assert untranslatable({"input": (USER,), **body}) == field


@pytest.mark.parametrize("name", FIELDS)
def test_the_rest_has_one(name: str) -> None:
    assert untranslatable({"input": (USER,), **FIELDS[name][0]}) is None


def test_offered_are_the_tools_an_answer_repeats() -> None:
    assert offered_tools({"tools": [FUNCTION, {"type": "local_shell"}]}) == [FUNCTION]

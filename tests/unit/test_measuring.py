"""What a request is measured as is the length of its JSON, also where a long text is counted without being written."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jatevo.adapters.json_text import json_text
from jatevo.adapters.wire.chat_request import parse_chat_request
from jatevo.adapters.wire.measuring import bytes_of, written_bytes
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request, parse_responses_request
from jatevo.application.exchange import InferenceRequest
from jatevo.application.responses import Resolved

CHARACTERS = st.characters(codec=None) | st.sampled_from("\n\r\t\"\\/'\b\f\x00\x1f\x7f\u2028\ud83d")
TEXTS = st.text(CHARACTERS)
LONG = st.builds(str.__mul__, st.text(CHARACTERS, min_size=1, max_size=8), st.sampled_from([1, 200, 1000]))
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"type": "function_call", "call_id": "c", "name": "f"}
OUTPUT = {"type": "function_call_output", "call_id": "c"}


def messages_of(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    parts = st.lists(st.builds(lambda text: {"type": kind, "text": text}, LONG))
    return st.lists(st.builds(lambda content: {"role": "user", "content": content}, LONG | parts), min_size=1)


MESSAGES = messages_of("text")


def read(messages: list[dict[str, Any]]) -> InferenceRequest:
    request = parse_chat_request(json.dumps({"model": "m", "messages": messages}).encode())
    assert isinstance(request, InferenceRequest)
    return request


@given(TEXTS)
def test_a_text_is_as_long_as_it_would_be_written(text: str) -> None:
    ascii_bytes, other_bytes = bytes_of(json_text(text))
    assert written_bytes(text) == (ascii_bytes - len('""'), other_bytes)


@given(MESSAGES)
def test_messages_are_measured_as_they_would_be_written(messages: list[dict[str, Any]]) -> None:
    size = read(messages).size
    assert (size.ascii_bytes, size.other_bytes) == bytes_of(json_text(messages))


@given(messages_of("input_text"), LONG)
def test_the_items_of_a_response_are_measured_as_they_would_be_written(
    messages: list[dict[str, Any]], words: str
) -> None:
    items = [*messages, CALL | {"arguments": json.dumps(words)}, OUTPUT | {"output": words}]
    parsed = parse_responses_request(json.dumps({"model": "m", "input": items, "instructions": words}).encode())
    assert isinstance(parsed, ResponsesRequest)
    request = inference_request(parsed, Resolved((), parsed.turn.items))
    assert isinstance(request, InferenceRequest)
    assert len(request.body["input"]) == len(items)
    written = json_text([*request.body["input"], words])
    assert (request.size.ascii_bytes, request.size.other_bytes) == bytes_of(written)


@given(MESSAGES)
def test_what_is_no_text_is_counted_apart(messages: list[dict[str, Any]]) -> None:
    seen = [{"role": "user", "content": [IMAGE, {"type": "text", "text": "x" * 2000}]}, *messages]
    size = read(seen).size
    seen[0] = {"role": "user", "content": seen[0]["content"][1:]}
    assert (size.ascii_bytes, size.other_bytes, size.images) == (*bytes_of(json_text(seen)), 1)


@given(LONG, LONG, MESSAGES)
def test_the_turns_of_a_conversation_are_told_by_its_beginning(system: str, user: str, later: list[Any]) -> None:
    begin = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    assert read(begin).conversation == read([*begin, *later]).conversation
    others = (
        [{"role": "system", "content": f"{system}."}, begin[1]],
        [begin[0], {"role": "user", "content": f"{user}."}],
    )
    assert len({read(messages).conversation for messages in (begin, *others)}) == 3

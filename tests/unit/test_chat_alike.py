"""A chunk that is told by its likeness to another is shown and counted exactly as if it had been parsed."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jatevo.adapters.wire import sse
from jatevo.adapters.wire.chat_alike import Alike
from jatevo.adapters.wire.chat_reading import parsed_chunk, text_length

TEXTS = st.text(max_size=12) | st.text(alphabet='\\"\n\tné\u2028😀 a', max_size=12)
MEMBERS = st.sampled_from(["content", "reasoning_content", "refusal", "role"])
REST = st.none() | st.booleans() | st.floats() | TEXTS | st.lists(TEXTS, max_size=2)


def show(choices: list[dict[str, Any]]) -> bytes:
    return sse.frame({"model": "content", "choices": choices})


def chunk(text: str, *, member: str = "content", plain: bool = True, **more: Any) -> bytes:
    value = {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {member: text}, "finish_reason": None}], **more}
    return json.dumps(value, ensure_ascii=not plain).encode("utf-8", "surrogatepass")


def check(alike: Alike, data: bytes) -> bool:
    """Return whether it was told without parsing, and then rightly; learn from it otherwise, as a stream does."""
    told, read = alike.shown(data), parsed_chunk(data)
    if told is not None:
        assert read is not None
        assert read.get("usage") is None
        assert [choice["finish_reason"] for choice in read["choices"]] == [None]
        assert told == (show(read["choices"]), sum(text_length(choice["delta"]) for choice in read["choices"]))
    elif read is not None and read["choices"]:
        alike.learn(data)
    return told is not None


@given(st.lists(st.builds(chunk, TEXTS, member=MEMBERS, plain=st.booleans(), extra=REST, usage=REST), max_size=8))
def test_of_any_chunks_those_that_are_told_are_told_rightly(chunks: list[bytes]) -> None:
    alike = Alike(parsed_chunk, show)

    for data in chunks:
        check(alike, data)


@given(TEXTS, st.binary(max_size=6), st.integers(0, 200), st.integers(0, 3))
@example("word", b'","content":"', 75, 0)
@example("word", b"\xff", 75, 0)
@example("word", b"\\", 78, 0)
@example("word", b"\\u0041", 76, 0)
@example("word", b"\n", 76, 0)
def test_a_chunk_damaged_anywhere_is_told_rightly_or_parsed(text: str, damage: bytes, at: int, cut: int) -> None:
    alike = Alike(parsed_chunk, show)
    data = chunk("before")
    check(alike, data)
    data = chunk(text)

    check(alike, data[:at] + damage + data[at + cut :])


@pytest.mark.parametrize("text", ["", " token", 'a "quote"', "line\n\ttab \\ \\\\n", "é 😀 \u2028", "x" * 10_000])
@pytest.mark.parametrize("member", ["content", "reasoning_content"])
def test_what_models_mostly_say_is_not_parsed(text: str, member: str) -> None:
    alike = Alike(parsed_chunk, show)
    assert not check(alike, chunk("first", member=member))

    assert check(alike, chunk(text, member=member))


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"delta":{"content":"twice","content":"twice"}}]}',
        b'{"id":"same","choices":[{"delta":{"content":"same"}}]}',
        b'{"choices":[{"delta":{"content":"two","refusal":"texts"}}]}',
        b'{"choices":[{"delta":{"content":"end"},"finish_reason":"stop"}]}',
        b'{"choices":[{"delta":{"content":"one"}},{"index":1,"delta":{"content":"two"}}]}',
        b'{"choices":[{"delta":{"content":"counted"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}',
        b'{"choices":[{"delta":{"content":"\\u0041"}}]}',
        b'{"choices":[{"delta":{"content":"x"},"logprobs":{"content":["jatevo\'s probe"]}}]}',
    ],
)
def test_what_says_more_than_a_text_teaches_nothing(data: bytes) -> None:
    alike = Alike(parsed_chunk, show)
    alike.learn(data)

    assert alike.shown(data) is None

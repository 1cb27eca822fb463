"""Whatever an upstream answers, reading it never fails, and nothing but OpenAI's own fields leaves."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jatevo.adapters.wire.chat_answer import ChatAnswerReader, ChatStreamReader
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.exchange import InferenceRequest
from jatevo.domain.ids import reservation_id
from jatevo.domain.ledger import LedgerEntry, Outcome, Reason
from jatevo.domain.projection import InputSize

ID = reservation_id(1_795_000_000_000, 7)
ENTRY = LedgerEntry("acct_a", "2026-11-23", ID, Outcome.CHARGED, Reason.ANSWERED, 0, (), "key_a")

TEXTS = st.text(max_size=8)
NAMES = TEXTS | st.sampled_from(
    ["content", "role", "tool_calls", "function", "arguments", "name", "id", "index", "type"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([0, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


def mostly(likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what is likely nineteen times of twenty, and anything else the other time."""
    return st.integers(0, 19).flatmap(lambda die: likely if die else VALUES)


PARTS = st.dictionaries(NAMES, VALUES, max_size=4)
CHOICES = st.fixed_dictionaries(
    {"delta": mostly(PARTS), "message": mostly(PARTS)},
    optional={
        "index": mostly(st.integers(0, 2)),
        "finish_reason": mostly(st.sampled_from([None, "stop"])),
        "logprobs": st.dictionaries(st.sampled_from(["content", "refusal"]), VALUES),
        "secret": TEXTS,
    },
)
USAGE = mostly(
    st.fixed_dictionaries({"prompt_tokens": mostly(st.integers()), "completion_tokens": mostly(st.integers())})
)
ANSWERS = mostly(
    st.fixed_dictionaries(
        {"choices": mostly(st.lists(mostly(CHOICES), min_size=1, max_size=3))},
        optional={"usage": USAGE, "secret": TEXTS, "error": st.none() | mostly(st.none())},
    )
)
FRAMES = ANSWERS.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")
PIECES = st.integers(0, 19).flatmap(lambda die: FRAMES if die else st.binary(max_size=30))
STREAMS = st.builds(
    lambda pieces, end: [*pieces, *end], st.lists(PIECES, max_size=4), st.sampled_from([[], [b"data: [DONE]\n\n"]])
)


def request(choices: int) -> InferenceRequest:
    return InferenceRequest("test-model", InputSize(), {}, choices=choices, include_usage=True)


def check_shown(answer: dict[str, Any], kind: str) -> None:
    assert answer.keys() <= {"id", "object", "created", "model", "choices", "usage"}
    assert (answer["id"], answer["object"], answer["model"]) == (f"chatcmpl-{ID}", kind, "test-model")
    for choice in answer["choices"]:
        assert choice.keys() <= {"index", "message", "delta", "finish_reason", "logprobs"}


def strictly(data: bytes) -> dict[str, Any]:
    """Return JSON as a browser would read it."""

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    value: dict[str, Any] = json.loads(data, parse_constant=no_constant)
    return value


@given(ANSWERS.map(lambda value: json.dumps(value).encode()) | STREAMS.map(b"".join), st.integers(1, 3))
def test_a_whole_answer_is_shown_clean_or_called_garbled(data: bytes, choices: int) -> None:
    reader = ChatAnswerReader(request(choices), ID)

    reading = reader.read(data)

    if reading.garbled:
        return
    assert reading.finished
    assert reading.produced_bytes >= 0
    check_shown(strictly(reader.body(ENTRY)), "chat.completion")


@given(STREAMS, st.integers(1, 3), st.integers(1, 40))
def test_a_stream_is_shown_clean_until_it_is_garbled(pieces: list[bytes], choices: int, step: int) -> None:
    reader = ChatStreamReader(request(choices), ID, ErrorWording())
    stream = b"".join(pieces)

    out = b"".join(reader.feed(stream[at : at + step]) for at in range(0, len(stream), step))

    for frame in out.split(b"\n\n")[:-1]:
        check_shown(strictly(frame.removeprefix(b"data: ")), "chat.completion.chunk")
    reading = reader.reading()
    assert not (reading.garbled and reading.finished)
    assert reader.ending(ENTRY).endswith(b"data: [DONE]\n\n")


@given(STREAMS, st.integers(1, 40))
def test_how_a_stream_is_cut_changes_nothing(pieces: list[bytes], step: int) -> None:
    stream = b"".join(pieces)
    whole, cut = (ChatStreamReader(request(1), ID, ErrorWording()) for _ in range(2))

    at_once = whole.feed(stream)
    piecewise = b"".join(cut.feed(stream[at : at + step]) for at in range(0, len(stream), step))

    assert at_once == piecewise
    assert whole.reading() == cut.reading()

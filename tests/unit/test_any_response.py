"""Whatever an upstream answers, chat or responses, the client gets what is published of the format that it speaks."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jatevo_testing.messages import check_message, check_message_stream
from jatevo_testing.responses import check_response, check_stream

from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.messages_format import MessagesFormat
from jatevo.adapters.wire.responses_format import ResponsesFormat
from jatevo.application.exchange import InferenceRequest, WireFormat
from jatevo.domain.catalogue import Pool
from jatevo.domain.ids import reservation_id
from jatevo.domain.ledger import LedgerEntry, Outcome, Reason
from jatevo.domain.projection import InputSize
from jatevo.domain.refusals import Code, Refusal

ID = reservation_id(1_795_000_000_000, 7)
ENTRY = LedgerEntry("acct_a", "2026-11-23", ID, Outcome.CHARGED, Reason.ANSWERED, 0, (), "key_a")
BROKE = Refusal(Code.UPSTREAM_ERROR, "The model's answer broke off.", billable=True)
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CUSTOM = {"type": "custom", "name": "patch"}

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SMALL = st.integers(-1, 3)
NAMES = st.sampled_from(["f", "patch", "", "other"])
IDS = st.sampled_from(["", "a", "b", "secret" * 40])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def mostly(likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what is likely nineteen times of twenty, and anything else the other time."""
    return st.integers(0, 19).flatmap(lambda die: likely if die else VALUES)


def some(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects that have each of the members or not."""
    return st.fixed_dictionaries({}, optional={name: mostly(values) for name, values in members.items()})


ARGUMENTS = TEXTS | st.sampled_from(["{", '{"input": "', 'a\\n"}', "{}"])
CALLS = some(
    index=SMALL,
    id=IDS,
    type=TEXTS,
    function=some(name=NAMES, arguments=ARGUMENTS),
    custom=some(name=NAMES, input=TEXTS),
)
TOKENS = some(token=TEXTS, logprob=st.floats(-9, 0), bytes=st.lists(st.integers(0, 255)), top_logprobs=VALUES)
DELTAS = some(
    role=TEXTS,
    content=TEXTS | st.lists(some(type=TEXTS, text=TEXTS), max_size=2),
    reasoning_content=TEXTS,
    reasoning=TEXTS,
    refusal=TEXTS,
    tool_calls=st.lists(mostly(CALLS), max_size=3),
    function_call=some(name=NAMES, arguments=ARGUMENTS),
)
FINISHES = st.sampled_from([None, None, "stop", "length", "content_filter", "tool_calls"])
LOGPROBS = st.none() | some(content=st.lists(mostly(TOKENS), max_size=2))
CHAT_CHUNKS = st.builds(
    lambda delta, index, finish, logprobs: {
        "choices": [{"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}]
    },
    mostly(DELTAS),
    st.sampled_from([0, 0, 0, 1]),
    FINISHES,
    LOGPROBS,
)

PARTS = some(
    type=st.sampled_from(["output_text", "refusal", "reasoning_text", "summary_text"]), text=TEXTS, refusal=TEXTS
)
KNOWN = {"message", "reasoning", "function_call", "custom_tool_call", ""}
ITEMS = some(
    id=IDS,
    type=st.sampled_from(sorted(KNOWN)),
    status=st.sampled_from(["in_progress", "completed", "incomplete"]),
    content=st.lists(mostly(PARTS), max_size=2),
    summary=st.lists(mostly(PARTS), max_size=2),
    call_id=IDS,
    name=NAMES,
    arguments=TEXTS,
    input=TEXTS,
).filter(lambda item: not isinstance(item.get("type"), str) or item["type"] in KNOWN)
"""Items of types that are not known pass as they are, whatever the published form says of them."""
KINDS = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.delta",
        "response.nothing.known",
    ]
)
NATIVE_EVENTS = st.builds(
    lambda kind, members: {**members, "type": kind},
    mostly(KINDS),
    some(
        item=ITEMS,
        item_id=IDS,
        output_index=SMALL,
        content_index=SMALL,
        summary_index=SMALL,
        part=PARTS,
        delta=TEXTS,
        text=TEXTS,
        arguments=TEXTS,
        input=TEXTS,
        logprobs=st.lists(mostly(TOKENS), max_size=2),
    ),
)
NATIVE_ENDS = st.builds(
    lambda kind, output, reason: {
        "type": kind,
        "response": {"output": output, "incomplete_details": reason, "usage": {"input_tokens": 3, "output_tokens": 4}},
    },
    st.sampled_from(["response.completed", "response.incomplete"]),
    mostly(st.lists(mostly(ITEMS), max_size=3)),
    st.none() | some(reason=TEXTS | st.just("content_filter")),
)


def framed(values: list[Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


CHAT_STREAMS = st.lists(CHAT_CHUNKS, max_size=6).map(lambda chunks: framed(chunks) + b"data: [DONE]\n\n")
NATIVE_STREAMS = st.builds(lambda events, end: framed([*events, end]), st.lists(NATIVE_EVENTS, max_size=8), NATIVE_ENDS)
OVER = {"chat": (CHAT_STREAMS, ("chat",)), "responses": (NATIVE_STREAMS, ("responses",))}
WISHES = st.fixed_dictionaries(
    {"include": st.sampled_from([[], ["message.output_text.logprobs"]])},
    optional={"reasoning": st.just({"summary": "auto"}), "instructions": TEXTS},
)


def wire_over(spoken: tuple[str, ...]) -> WireFormat:
    wire = ResponsesFormat(ErrorWording()).for_pool(Pool("p", "http://u", wire=spoken))
    assert wire is not None
    return wire


def request(wishes: dict[str, Any]) -> InferenceRequest:
    body = {"input": (), "tools": [FUNCTION, CUSTOM], **wishes}
    return InferenceRequest("test-model", InputSize(), body, echo={"store": True, "metadata": {}})


@pytest.mark.parametrize("name", OVER)
@given(data=st.data(), wishes=WISHES, step=st.integers(1, 60))
@settings(deadline=None)
def test_any_stream_is_told_in_the_published_form(name: str, data: st.DataObject, wishes: Any, step: int) -> None:
    streams, spoken = OVER[name]
    stream = data.draw(streams)
    reader = wire_over(spoken).stream_reader(request(wishes), ID)

    out = b"".join(reader.feed(stream[at : at + step]) for at in range(0, len(stream), step))

    reading = reader.reading()
    assert not (reading.garbled and reading.finished)
    if reading.finished:
        kept = reader.settled(ENTRY)
        told = check_stream(out + reader.ending(ENTRY)).last
        assert kept == told
    else:
        assert reader.settled(ENTRY) is None
        told = check_stream(out + reader.failure(BROKE)).last
        assert told["error"]["message"] == "The model's answer broke off."


@pytest.mark.parametrize("name", OVER)
@given(data=st.data(), wishes=WISHES)
@settings(deadline=None)
def test_how_a_stream_is_cut_changes_nothing(name: str, data: st.DataObject, wishes: Any) -> None:
    streams, spoken = OVER[name]
    stream = data.draw(streams)
    whole, cut = (wire_over(spoken).stream_reader(request(wishes), ID) for _ in range(2))

    assert whole.feed(stream) == b"".join(cut.feed(stream[at : at + 7]) for at in range(0, len(stream), 7))
    assert whole.reading() == cut.reading()


WHOLE_CHAT = st.builds(
    lambda message, finish, logprobs: {
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}]
    },
    mostly(DELTAS),
    FINISHES,
    LOGPROBS,
)
WHOLE_NATIVE = st.builds(
    lambda output, status: {"output": output, "status": status},
    mostly(st.lists(mostly(ITEMS), max_size=3)),
    mostly(st.sampled_from(["completed", "incomplete", "failed"])),
)


@pytest.mark.parametrize(("spoken", "answers"), [("chat", WHOLE_CHAT), ("responses", WHOLE_NATIVE)])
@given(data=st.data(), wishes=WISHES)
@settings(deadline=None)
def test_any_answer_is_an_object_of_the_published_form(
    spoken: str, answers: st.SearchStrategy[Any], data: st.DataObject, wishes: Any
) -> None:
    reader = wire_over((spoken,)).answer_reader(request(wishes), ID)

    reading = reader.read(json.dumps(data.draw(answers)).encode())

    if not reading.garbled:
        body = json.loads(reader.body(ENTRY))
        assert check_response(body) == reader.settled(ENTRY)


def message_request(thinking: str | None) -> InferenceRequest:
    echo = {"thinking": thinking, "stop_sequences": ("END",)}
    return InferenceRequest("test-model", InputSize(), {"input": (), "tools": [FUNCTION]}, echo=echo)


def messages_over(spoken: tuple[str, ...]) -> WireFormat:
    wire = MessagesFormat(ErrorWording()).for_pool(Pool("p", "http://u", wire=spoken))
    assert wire is not None
    return wire


@pytest.mark.parametrize("name", OVER)
@given(data=st.data(), thinking=st.sampled_from(["shown", "omitted", None]), step=st.integers(1, 60))
@settings(deadline=None)
def test_any_stream_is_told_as_a_message(name: str, data: st.DataObject, thinking: str | None, step: int) -> None:
    streams, spoken = OVER[name]
    stream = data.draw(streams)
    reader = messages_over(spoken).stream_reader(message_request(thinking), ID)

    out = b"".join(reader.feed(stream[at : at + step]) for at in range(0, len(stream), step))

    if reader.reading().finished:
        assert check_message_stream(out + reader.ending(ENTRY)).message
    else:
        opened = out if out.startswith(b"event: message_start") else b""
        told = opened + reader.failure(BROKE)
        assert told.endswith(b"\n\n")
        assert not opened or check_message_stream(told).events[-1]["error"]["type"] == "api_error"


@pytest.mark.parametrize(("spoken", "answers"), [("chat", WHOLE_CHAT), ("responses", WHOLE_NATIVE)])
@given(data=st.data(), thinking=st.sampled_from(["shown", "omitted", None]))
@settings(deadline=None)
def test_any_answer_is_a_message(
    spoken: str, answers: st.SearchStrategy[Any], data: st.DataObject, thinking: str | None
) -> None:
    reader = messages_over((spoken,)).answer_reader(message_request(thinking), ID)

    reading = reader.read(json.dumps(data.draw(answers)).encode())

    if not reading.garbled:
        check_message(json.loads(reader.body(ENTRY)))

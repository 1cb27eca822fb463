"""Whatever a client of the Messages API sends is refused by name or can be asked of both engines."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.messages_format import MessagesFormat
from jatevo.adapters.wire.messages_request import parse_count_request, parse_messages_request
from jatevo.application.exchange import InferenceRequest
from jatevo.domain.catalogue import Pool
from jatevo.domain.refusals import Code, Refusal

FULL: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5000,
    "system": [{"type": "text", "text": "be kind"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                {"type": "document", "title": "t", "source": {"type": "text", "data": "x"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [], "is_error": True}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_20250124", "name": "bash"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "stop_sequences": ["a"],
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "temperature": 1,
    "stream": True,
}
TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(["user", "text", "tool_use"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("type"), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in a JSON value another one could stand."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, member in inside for place in ((*here, name), *places(member, (*here, name)))]


def asked(raw: bytes) -> None:
    """Read a body as both routes do, and put it to each engine."""
    for parse in (parse_messages_request, parse_count_request):
        request = parse(raw)
        if isinstance(request, Refusal):
            assert request.code is not Code.INTERNAL_ERROR
            assert "input[" not in (request.param or "")
            continue
        for wire in ("chat", "responses"):
            put_to(request, Pool("p", "http://u", wire=(wire,)))


def put_to(request: InferenceRequest, pool: Pool) -> None:
    wire = MessagesFormat(ErrorWording()).for_pool(pool)
    assert wire is not None
    if wire.refusal(request, pool) is None:
        body = wire.upstream_body(request, pool, model="theirs", output_cap=7)
        assert json.dumps(body)
        assert body["model"] == "theirs"
        assert (body.get("max_tokens"), body.get("max_output_tokens")) in {(7, None), (None, 7)}


def test_a_full_body_is_asked_of_a_chat_upstream() -> None:
    pool = Pool("p", "http://u")
    request = parse_messages_request(json.dumps(FULL).encode())
    assert isinstance(request, InferenceRequest)
    put_to(request, pool)
    wire = MessagesFormat(ErrorWording()).for_pool(pool)
    assert wire is not None
    assert wire.refusal(request, pool) is None


@settings(deadline=None)
@given(raw=st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_refused_by_name(raw: bytes) -> None:
    asked(raw)


@settings(deadline=None, max_examples=400)
@given(place=st.sampled_from(places(FULL)), value=VALUES)
def test_anything_in_any_place_is_refused_by_name_or_asked(place: tuple[Any, ...], value: Any) -> None:
    body = json.loads(json.dumps(FULL))
    node = body
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value
    asked(json.dumps(body).encode())

"""Whatever a client sends, the gateway neither fails nor tells anything of what stands behind it."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jatevo_testing.refusals import refused
from jatevo_testing.world import Customer, World

USER: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "hello"}]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FULL: dict[str, Any] = {
    "model": "test-model",
    "messages": [USER, {"role": "assistant", "content": None, "tool_calls": []}],
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "n": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [FUNCTION],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "stop": ["a"],
    "response_format": {"type": "text"},
    "logit_bias": {"1": 1},
    "modalities": ["text"],
    "service_tier": "auto",
    "store": False,
}
OTHER_FIELDS = ("temperature", "top_p", "seed", "user", "metadata", "functions", "function_call", "logprobs", "x")

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates included
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(["user", "text", "function"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS | st.just("type"), inner, max_size=4),
    max_leaves=8,
)
EXAMPLES = settings(max_examples=150, deadline=None)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where in a JSON value another one could stand."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(*here, name) for name, _ in inside] + [
        path for name, member in inside for path in paths(member, (*here, name))
    ]


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(body))
    node = changed
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return changed


PLACES = st.sampled_from([*paths(FULL), *((name,) for name in OTHER_FIELDS)])


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def heavy_user(module_world: World) -> Customer:
    return module_world.customer(requests=10**6)


async def sent(world: World, customer: Customer, raw: bytes) -> httpx.Response:
    return await world.client.post("/v1/chat/completions", content=raw, headers=customer.headers)


async def served_or_refused(world: World, customer: Customer, raw: bytes) -> None:
    answer = await sent(world, customer, raw)
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert answer.status_code in {400, 404, 413}, error
        refused(answer, answer.status_code, error["code"], param=error["param"])
    assert "secret" not in answer.text + str(answer.headers)


@EXAMPLES
@given(raw=st.binary(max_size=200))
async def test_any_bytes_are_served_or_refused(module_world: World, heavy_user: Customer, raw: bytes) -> None:
    await served_or_refused(module_world, heavy_user, raw)


@EXAMPLES
@given(value=VALUES)
async def test_any_json_is_served_or_refused(module_world: World, heavy_user: Customer, value: Any) -> None:
    await served_or_refused(module_world, heavy_user, json.dumps(value).encode())


@EXAMPLES
@given(place=PLACES, value=VALUES)
async def test_any_json_in_any_place_is_served_or_refused(
    module_world: World, heavy_user: Customer, place: tuple[Any, ...], value: Any
) -> None:
    await served_or_refused(module_world, heavy_user, json.dumps(replaced(FULL, place, value)).encode())


async def test_after_all_that_nothing_is_open_and_the_books_agree(module_world: World, heavy_user: Customer) -> None:
    await sent(module_world, heavy_user, json.dumps(FULL).encode())
    window = await module_world.window(heavy_user)
    entries = await module_world.ledger(heavy_user)
    assert not window.open
    assert window.settled_nano_usd == sum(entry.figures.charge_nano_usd for entry in entries)
    assert all(entry.figures.charge_nano_usd <= entry.reserved_nano_usd for entry in entries)
    assert window.limits.requests - window.requests_left == len(entries)

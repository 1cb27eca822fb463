"""A history cut to fit: the fewest oldest items go, the last one stays, and no output is left without its call."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.application.responses import Item, Resolved
from jatevo.application.truncation import cut_to_fit, without_oldest


def said(name: int) -> Item:
    return {"type": "message", "role": "user", "content": str(name)}


def call(name: int) -> Item:
    return {"type": "function_call", "call_id": f"call_{name}", "name": "f", "arguments": "{}"}


def output(name: int) -> Item:
    return {"type": "function_call_output", "call_id": f"call_{name}", "output": "x"}


def turn(prior: Sequence[Item], own: Sequence[Item]) -> Resolved:
    return Resolved(tuple(prior), tuple(own))


ITEMS = [said(0), call(1), output(1), said(2), call(3), call(4), output(4), output(3), said(5)]


@pytest.mark.parametrize("split", range(len(ITEMS)))
@pytest.mark.parametrize("count", range(len(ITEMS)))
def test_an_output_goes_with_its_call(split: int, count: int) -> None:
    cut = without_oldest(turn(ITEMS[:split], ITEMS[split:]), count)
    left = [*cut.prior, *cut.own]
    calls = {item["call_id"] for item in left if item["type"] == "function_call"}
    assert all(item["call_id"] in calls for item in left if item["type"] == "function_call_output")
    assert left == [item for item in ITEMS[count:] if item in left]
    assert left[-1] == ITEMS[-1]


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=30), room=st.integers(0, 100), split=st.integers(0, 30))
def test_no_more_is_left_out_than_must_be(sizes: list[int], room: int, split: int) -> None:
    items: list[Item] = [{"type": "message", "role": "user", "content": "x", "size": size} for size in sizes]

    def size_of(resolved: Resolved) -> int:
        return sum(item["size"] for item in (*resolved.prior, *resolved.own))

    cut = cut_to_fit(turn(items[:split], items[split:]), lambda shorter: size_of(shorter) <= room)
    left = [*cut.prior, *cut.own]
    assert left == items[len(items) - len(left) :]
    assert left
    assert size_of(cut) <= room or len(left) == 1
    longer = items[len(items) - len(left) - 1 :]
    assert len(left) == len(items) or sum(item["size"] for item in longer) > room

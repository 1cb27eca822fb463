"""What a function takes from an event that is no HTTP request."""

import pytest

from jatevo.adapters.events import MalformedEvent, flag


def test_a_flag_is_set_by_true_alone() -> None:
    assert flag({"now": True}, "now")
    for event in ({}, {"now": 1}, {"now": "true"}, {"later": True}):
        assert not flag(event, "now")


@pytest.mark.parametrize("event", [None, 7, "now", [True]])
def test_what_is_no_object_is_one_clear_line(event: object) -> None:
    with pytest.raises(MalformedEvent, match=r"^the event must be a JSON object, not \w+$"):
        flag(event, "now")

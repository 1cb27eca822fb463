"""The input of a custom tool is the same however its arguments are cut, and never more than has come."""

import json

from hypothesis import given
from hypothesis import strategies as st

from jatevo.adapters.wire.custom_input import CustomInput


def decoded(text: str, step: int) -> str:
    custom = CustomInput()
    pieces = [custom.feed(text[at : at + step]) for at in range(0, len(text), step)]
    return "".join(pieces) + custom.rest()


@given(st.text(), st.integers(1, 7))
def test_arguments_in_pieces_are_the_input(text: str, step: int) -> None:
    assert decoded(json.dumps({"input": text}, ensure_ascii=False), step) == text
    assert decoded(json.dumps({"input": text}, indent=2), step) == text


@given(st.text(st.characters(codec="utf-8")).filter(lambda text: not text.lstrip().startswith("{")), st.integers(1, 7))
def test_arguments_of_another_form_are_the_input_as_they_are(text: str, step: int) -> None:
    assert decoded(text, step) == text


def test_each_piece_is_known_as_soon_as_it_came() -> None:
    custom = CustomInput()

    assert [custom.feed(piece) for piece in ('{"in', 'put": "a', "b\\", "n", "\\ud83d", "\\ude00", 'c"', "}")] == [
        "",
        "a",
        "b",
        "\n",
        "",
        "😀",
        "c",
        "",
    ]


def test_another_object_is_the_input_as_it_is() -> None:
    assert decoded('{"code": 1}', 3) == '{"code": 1}'
    assert decoded("{}", 1) == "{}"


def test_what_was_cut_off_within_an_escape_is_dropped() -> None:
    assert decoded('{"input": "ab\\u00', 4) == "ab"

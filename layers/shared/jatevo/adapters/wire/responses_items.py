"""
Input items of the Responses API: checked, brought to one form, and paired.

Guarantees of what `input_items` returns: each item is an object with a `type`, and its `id`, where it has one, is a
string; those of the types in `KNOWN` have the members that both engines rely on. Other types pass as they are: only
upstreams that speak the format can take them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jatevo.adapters.wire.checks import (
    Check,
    Invalid,
    invalid,
    is_one_of,
    missing_or_invalid,
    of,
    unsupported,
)
from jatevo.adapters.wire.responses_tools import runs_upstream
from jatevo.application.responses import Item
from jatevo.domain.refusals import Code, Refusal, shown

MOST_ITEMS = 4096
IMAGES = frozenset({"input_image", "computer_screenshot", "image"})
AUDIO = "input_audio"
FILE = "input_file"
TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})

CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
"""Calls of the client's own tools, and the member that holds what a tool is called with."""
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})

_ROLES = frozenset({"user", "assistant", "system", "developer"})
_TEXT: Check = of(str, "a string")
_NAME: Check = (lambda value: isinstance(value, str) and bool(value), "a string that is not empty")
_LIST: Check = of(list, "a list")


def input_items(value: Any) -> tuple[Item, ...]:
    """Return the items of an `input`. Raises Invalid."""
    if isinstance(value, str):
        return ({"type": "message", "role": "user", "content": value},)
    if not isinstance(value, list):
        raise missing_or_invalid(value, "input", "a string or a list of items")
    if len(value) > MOST_ITEMS:
        raise invalid("input", f"a list of at most {MOST_ITEMS} items")
    return tuple(_item(item, f"input[{place}]") for place, item in enumerate(value))


def check_pairs(prior: Sequence[Item], own: Sequence[Item]) -> None:
    """
    Check that each output has its call before it, and each call its one output. Raises Invalid.

    A call that was cut off (`status: incomplete`) needs none: nobody could run it.
    """
    open_calls: dict[str, bool] = {}
    for index, item in enumerate((*prior, *own)):
        place = f"input[{index - len(prior)}].call_id" if index >= len(prior) else "previous_response_id"
        call_id = str(item.get("call_id"))
        if item["type"] in CALLS:
            if call_id in open_calls:
                raise _unpaired(place, f"There are two tool calls with the id '{shown(call_id)}'.")
            open_calls[call_id] = item.get("status") != "incomplete"
        elif item["type"] in OUTPUTS:
            if call_id not in open_calls:
                raise _unpaired(place, f"There is no tool call with the id '{shown(call_id)}' before this output.")
            if not open_calls[call_id]:
                raise _unpaired(place, f"The tool call '{shown(call_id)}' has two outputs, or was cut off.")
            open_calls[call_id] = False
    for call_id, still_open in open_calls.items():
        if still_open:
            raise _unpaired("input", f"There is no output for the tool call '{shown(call_id)}'.")


def parts_of(item: Item) -> Iterable[Mapping[str, Any]]:
    """Return the content parts of an item; of one whose type is not known, every object in it: any may be a part."""
    left: list[Any] = [item.get("content"), item.get("output")] if item["type"] in KNOWN else [*item.values()]
    while left:
        member = left.pop()
        if isinstance(member, Mapping):
            yield member
            left += member.values() if item["type"] not in KNOWN else ()
        elif isinstance(member, list):
            left += member


def _unpaired(place: str, detail: str) -> Invalid:
    return Invalid(Refusal(Code.INVALID_VALUE, detail, param=place))


def _item(value: Any, place: str) -> Item:
    if not isinstance(value, dict):
        raise invalid(place, "an item: an object with 'type'")
    item = {name: member for name, member in value.items() if member is not None}
    if "type" not in item:
        if "role" not in item and "id" not in item:
            raise missing_or_invalid(None, f"{place}.type", "what kind of item this is")
        item["type"] = "message" if "role" in item else "item_reference"
    if not isinstance(item["type"], str) or not item["type"]:
        raise invalid(f"{place}.type", "a string that is not empty")
    if not isinstance(item.get("id"), str | None):
        raise invalid(f"{place}.id", "a string")
    _check_members(item, place)
    return item


def _check_members(item: dict[str, Any], place: str) -> None:
    kind = item["type"]
    for name, (check, what), required in _MEMBERS.get(kind, ()):
        if required and name not in item:
            raise missing_or_invalid(None, f"{place}.{name}", what)
        if name in item and not check(item[name]):
            raise invalid(f"{place}.{name}", what)
    if kind == "message":
        _check_message(item, place)
    elif kind in OUTPUTS:
        _check_content(item["output"], f"{place}.output", _OUTPUT_PARTS)
    elif kind not in KNOWN:
        _check_tools(item.get("tools"), f"{place}.tools")


def _check_tools(tools: Any, place: str) -> None:
    """Check that no item brings along what the upstream would run: what is offered in the open is taken out there."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and isinstance(tool.get("type"), str) and runs_upstream(tool):
            raise unsupported(f"{place}[{index}]", f"Tools of the type '{shown(tool['type'])}' are not served.")


def _check_message(item: dict[str, Any], place: str) -> None:
    if not is_one_of(item.get("role"), _ROLES):
        raise invalid(f"{place}.role", "one of " + ", ".join(sorted(_ROLES)))
    if "content" not in item:
        raise missing_or_invalid(None, f"{place}.content", "a string or a list of parts")
    _check_content(item["content"], f"{place}.content", _MESSAGE_PARTS)


def _check_content(content: Any, place: str, kinds: Mapping[str, Callable[[Mapping[str, Any], str], None]]) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(place, "a string or a list of parts")
    for index, part in enumerate(content):
        at = f"{place}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        check = kinds.get(kind) if isinstance(kind, str) else None
        if check is None:
            raise invalid(f"{at}.type", "one of " + ", ".join(kinds))
        check(part, at)


def _check_text(part: Mapping[str, Any], place: str) -> None:
    if not isinstance(part.get("text"), str):
        raise invalid(f"{place}.text", "a string")


def _check_refusal(part: Mapping[str, Any], place: str) -> None:
    if not isinstance(part.get("refusal"), str):
        raise invalid(f"{place}.refusal", "a string")


def _check_image(part: Mapping[str, Any], place: str) -> None:
    if part.get("file_id") is not None:
        raise unsupported(f"{place}.file_id", "Uploaded files are not served: send the image as 'image_url'.")
    url = part.get("image_url")
    if not isinstance(url, str) or not url.startswith(("data:", "https://", "http://")):
        raise invalid(f"{place}.image_url", "a URL, or a data URL with the image in it")
    if not isinstance(part.get("detail"), str | None):
        raise invalid(f"{place}.detail", "a string")


def _check_file(part: Mapping[str, Any], place: str) -> None:
    if part.get("file_id") is not None:
        raise unsupported(f"{place}.file_id", "Uploaded files are not served: send the file as 'file_data'.")
    if part.get("file_url") is not None:
        raise unsupported(f"{place}.file_url", "Files are not fetched: send the file as 'file_data'.")
    if not isinstance(part.get("file_data"), str):
        raise invalid(f"{place}.file_data", "a data URL with the file in it")
    if not isinstance(part.get("filename"), str | None):
        raise invalid(f"{place}.filename", "a string")


def _check_audio(part: Mapping[str, Any], place: str) -> None:
    audio = part.get("input_audio")
    if not isinstance(audio, dict) or not all(isinstance(audio.get(name), str) for name in ("data", "format")):
        raise invalid(f"{place}.input_audio", "an object with 'data' and 'format'")


_OUTPUT_PARTS = {"input_text": _check_text, "input_image": _check_image, "input_file": _check_file}
_MESSAGE_PARTS = _OUTPUT_PARTS | {"input_audio": _check_audio, "output_text": _check_text, "refusal": _check_refusal}

_MEMBERS: dict[str, tuple[tuple[str, Check, bool], ...]] = {
    "function_call": (("call_id", _NAME, True), ("name", _NAME, True), ("arguments", _TEXT, True)),
    "custom_tool_call": (("call_id", _NAME, True), ("name", _NAME, True), ("input", _TEXT, True)),
    "function_call_output": (
        ("call_id", _NAME, True),
        ("output", of((str, list), "a string or a list of parts"), True),
    ),
    "custom_tool_call_output": (
        ("call_id", _NAME, True),
        ("output", of((str, list), "a string or a list of parts"), True),
    ),
    "reasoning": (("summary", _LIST, False), ("content", _LIST, False), ("encrypted_content", _TEXT, False)),
    "item_reference": (("id", _NAME, True),),
}
KNOWN = frozenset({"message", *_MEMBERS})
"""Items that every engine understands."""

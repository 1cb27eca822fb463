"""
Messages of Anthropic's API as items of a response: what its engines can be asked.

Guarantees: each item is what `responses_items` would have made of it; `places` names, for each item, where in the body
it stands. What a block only adds for another provider (`cache_control`, `citations`) has no effect here and goes.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jatevo.adapters.json_text import json_text
from jatevo.adapters.wire.checks import Invalid, contradicts, invalid, is_one_of, missing_or_invalid, unsupported
from jatevo.adapters.wire.json_schema import fault_in
from jatevo.application.responses import Item
from jatevo.domain.refusals import shown

UNSIGNED = "unsigned"
"""The signature of thinking that no upstream signed: clients want one, and send it back."""
MOST_MESSAGES = 4096
_ROLES = frozenset({"user", "assistant", "system"})
_FAILED = "The tool failed:\n"

type Placed = tuple[Item, str]
type Part = dict[str, Any]


def items_of(messages: Any) -> list[Placed]:
    """Return the items that a list of messages stands for, each with its place. Raises Invalid."""
    if not isinstance(messages, list) or not messages:
        raise missing_or_invalid(messages, "messages", "a list with at least one message")
    if len(messages) > MOST_MESSAGES:
        raise invalid("messages", f"a list of at most {MOST_MESSAGES} messages")
    return [placed for index, message in enumerate(messages) for placed in _message(message, f"messages[{index}]")]


def system_text(system: Any, place: str = "system") -> str:
    """Return a system prompt, given as one text or as blocks of it. Raises Invalid."""
    if isinstance(system, str):
        return system
    if not isinstance(system, list):
        raise invalid(place, "a string or a list of text blocks")
    return "\n\n".join(_text(block, f"{place}[{index}]")["text"] for index, block in enumerate(system))


def tools_of(tools: Any) -> list[dict[str, Any]]:
    """
    Return the tools of a request as functions. Raises Invalid.

    Tools of a type of their own come without a schema, because one provider's models know it: they are taken out.
    """
    functions = []
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        if not isinstance(tool.get("name"), str) or not tool["name"]:
            raise invalid(f"{place}.name", "a string that is not empty")
        if not isinstance(tool.get("type"), str | None):
            raise invalid(f"{place}.type", "a string")
        if tool.get("type") not in {None, "custom"}:
            continue
        if not isinstance(tool.get("description"), str | None):
            raise invalid(f"{place}.description", "a string")
        if not isinstance(tool.get("strict"), bool | None):
            raise invalid(f"{place}.strict", "true or false")
        if fault := fault_in(tool.get("input_schema"), f"{place}.input_schema"):
            raise invalid(*fault)
        described = {"description": tool["description"]} if tool.get("description") else {}
        function = {"type": "function", "name": tool["name"], **described, "parameters": tool["input_schema"]}
        functions.append(function | {"strict": bool(tool.get("strict"))})
    return functions


def _message(message: Any, place: str) -> Iterator[Placed]:
    if not isinstance(message, dict):
        raise invalid(place, "an object with 'role' and 'content'")
    role, content = message.get("role"), message.get("content")
    if not is_one_of(role, _ROLES):
        raise invalid(f"{place}.role", "one of user, assistant, system")
    if isinstance(content, str):
        yield {"type": "message", "role": role, "content": content}, place
        return
    if not isinstance(content, list) or not (content or role == "assistant"):
        raise missing_or_invalid(content, f"{place}.content", "a string or a list with at least one block")
    if role == "system":
        yield {"type": "message", "role": role, "content": system_text(content, f"{place}.content")}, place
        return
    kinds = _OF_USER if role == "user" else _OF_ASSISTANT
    parts: list[Part] = []
    for index, block in enumerate(content):
        at = f"{place}.content[{index}]"
        made = _known(block, kinds, at)(block, at)
        if isinstance(made, list):
            parts += made
            continue
        if parts:
            yield {"type": "message", "role": role, "content": parts}, place
            parts = []
        yield made, at
    if parts:
        yield {"type": "message", "role": role, "content": parts}, place


def _known[T](block: Any, kinds: Mapping[str, Callable[[Mapping[str, Any], str], T]], place: str) -> Any:
    kind = block.get("type") if isinstance(block, dict) else None
    make = kinds.get(kind) if isinstance(kind, str) else None
    if make is None:
        if isinstance(kind, str) and kind in _ELSEWHERE:
            raise unsupported(f"{place}.type", f"Blocks of the type '{kind}' are not served.")
        raise invalid(f"{place}.type", "one of " + ", ".join(kinds))
    return make


def _text(block: Any, place: str) -> Part:
    if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
        raise invalid(place, "a text block: an object with the type 'text' and 'text', a string")
    return {"type": "input_text", "text": block["text"]}


def _texts(block: Mapping[str, Any], place: str) -> list[Part]:
    return [_text(block, place)]


def _answered(block: Mapping[str, Any], place: str) -> list[Part]:
    return [{**_text(block, place), "type": "output_text"}]


def _source(block: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        raise invalid(f"{place}.source", "an object with 'type'")
    if source["type"] == "file":
        raise unsupported(f"{place}.source.type", "Uploaded files are not served: send the content itself.")
    return source


def _data_url(source: Mapping[str, Any], place: str) -> str:
    if not all(isinstance(source.get(name), str) for name in ("media_type", "data")):
        raise invalid(f"{place}.source", "an object with 'media_type' and 'data'")
    return f"data:{source['media_type']};base64,{source['data']}"


def _image(block: Mapping[str, Any], place: str) -> list[Part]:
    source = _source(block, place)
    if source["type"] == "base64":
        return [{"type": "input_image", "image_url": _data_url(source, place)}]
    url = source.get("url")
    if source["type"] != "url" or not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise invalid(f"{place}.source", "one of base64 with 'media_type' and 'data', or url with 'url'")
    return [{"type": "input_image", "image_url": url}]


def _document(block: Mapping[str, Any], place: str) -> list[Part]:
    source = _source(block, place)
    title = block.get("title")
    named = {"filename": title} if isinstance(title, str) and title else {}
    match source["type"]:
        case "base64":
            return [{"type": "input_file", **named, "file_data": _data_url(source, place)}]
        case "text" if isinstance(source.get("data"), str):
            encoded = base64.b64encode(source["data"].encode("utf-8", "replace")).decode()
            return [{"type": "input_file", **named, "file_data": f"data:text/plain;base64,{encoded}"}]
        case "content":
            return _parts(source.get("content"), f"{place}.source.content", {"text": _texts, "image": _image})
        case "url":
            raise unsupported(f"{place}.source.type", "Documents are not fetched: send the content itself.")
    raise invalid(f"{place}.source", "one of base64, text or content, with what belongs to it")


def _search_result(block: Mapping[str, Any], place: str) -> list[Part]:
    head = "\n".join(str(block[name]) for name in ("title", "source") if isinstance(block.get(name), str))
    return [{"type": "input_text", "text": head}, *_parts(block.get("content"), f"{place}.content", {"text": _texts})]


def _parts(content: Any, place: str, kinds: Mapping[str, Callable[[Mapping[str, Any], str], list[Part]]]) -> list[Part]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise invalid(place, "a string or a list of blocks")
    found: list[Part] = []
    for index, block in enumerate(content):
        at = f"{place}[{index}]"
        found += _known(block, kinds, at)(block, at)
    return found


def _tool_result(block: Mapping[str, Any], place: str) -> Item:
    if not isinstance(block.get("is_error"), bool | None):
        raise invalid(f"{place}.is_error", "true or false")
    parts = _parts(block.get("content") or "", f"{place}.content", _OF_RESULT)
    if block.get("is_error"):
        parts = [{"type": "input_text", "text": _FAILED}, *parts]
    plain = all(part["type"] == "input_text" for part in parts)
    output = "".join(part["text"] for part in parts) if plain else parts
    return {"type": "function_call_output", "call_id": _name(block, "tool_use_id", place), "output": output}


def _tool_use(block: Mapping[str, Any], place: str) -> Item:
    given = block.get("input")
    if not isinstance(given, dict):
        raise missing_or_invalid(given, f"{place}.input", "an object")
    call_id, name = _name(block, "id", place), _name(block, "name", place)
    arguments = json_text(given)
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _thinking(block: Mapping[str, Any], place: str) -> Item:
    text, signature = block.get("thinking"), block.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str | None):
        raise invalid(place, "an object with 'thinking' and 'signature', both strings")
    content = [{"type": "reasoning_text", "text": text}] if text else []
    signed = {} if not signature or signature == UNSIGNED else {"encrypted_content": signature}
    return {"type": "reasoning", "summary": [], "content": content, **signed}


def _redacted(block: Mapping[str, Any], place: str) -> Item:
    return {"type": "reasoning", "summary": [], "encrypted_content": _name(block, "data", place)}


def _name(block: Mapping[str, Any], member: str, place: str) -> str:
    value = block.get(member)
    if not isinstance(value, str) or not value:
        raise missing_or_invalid(value, f"{place}.{member}", "a string that is not empty")
    return value


_OF_RESULT = {"text": _texts, "image": _image, "document": _document, "search_result": _search_result}
_OF_USER: dict[str, Callable[[Mapping[str, Any], str], Any]] = {**_OF_RESULT, "tool_result": _tool_result}
_OF_ASSISTANT: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "text": _answered,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
}
_ELSEWHERE = frozenset(
    {
        "bash_code_execution_tool_result",
        "browser_state",
        "code_execution_tool_result",
        "container_upload",
        "server_tool_use",
        "text_editor_code_execution_tool_result",
        "tool_reference",
        "tool_search_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)
"""Published blocks that only the provider's own tools make."""


def named_as_sent(wrong: Invalid, places: Sequence[str]) -> Invalid:
    """Return a refusal of an item with the item's place in the body."""
    param = wrong.refusal.param or ""
    if not param.startswith("input"):
        return wrong
    index = param.removeprefix("input[").partition("]")[0]
    place = places[int(index)] if index.isdigit() and int(index) < len(places) else "messages"
    return contradicts(place, wrong.refusal.detail)


def tool_choice_of(choice: Any, tools: Sequence[Mapping[str, Any]], offered: Sequence[Mapping[str, Any]]) -> Any:
    """Return a choice of tools as a response has it; `offered` are the tools that are left. Raises Invalid."""
    kind = choice.get("type")
    if kind == "auto":
        return "auto"
    if kind == "none":
        return "none"
    if kind == "any":
        if not offered:
            raise unsupported("tool_choice", "None of these tools is served, and 'tool_choice' requires one.")
        return "required"
    if kind != "tool" or not isinstance(choice.get("name"), str):
        raise invalid("tool_choice", "an object with the type auto, any, none, or tool with 'name'")
    if any(tool["name"] == choice["name"] for tool in offered):
        return {"type": "function", "name": choice["name"]}
    if any(tool["name"] == choice["name"] for tool in tools):
        raise unsupported("tool_choice", f"The tool '{shown(choice['name'])}' is of a type that is not served.")
    raise contradicts("tool_choice.name", f"There is no tool '{shown(choice['name'])}' in 'tools'.")

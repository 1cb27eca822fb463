"""
Responses requests as chat requests, for upstreams that speak nothing else.

Pure, and total over what `inference_request` gives: `untranslatable` names what has no equal in chat, and `chat_fields`
translates the rest. Guarantees: the model sees all that it would see of the request in its own format, in the same
order, but that the outputs of tool calls follow their calls at once, as chat demands; nothing that changes cost or
length is added.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jatevo.adapters.json_text import json_text
from jatevo.adapters.wire.custom_input import MEMBER
from jatevo.adapters.wire.responses_files import as_text
from jatevo.adapters.wire.responses_items import CALLS, IMAGES, KNOWN, OUTPUTS
from jatevo.adapters.wire.responses_tools import TRANSLATED_KINDS
from jatevo.application.responses import Item

LOGPROBS = "message.output_text.logprobs"

_SAME = (
    "parallel_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "stop",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
_ORIGINS = {
    "messages": "input",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
}
"""Chat fields by the Responses field that they come from, where it has another name."""
_CONTEXTS = frozenset({"auto", "current_turn"})
"""What happens over chat anyway: the reasoning of earlier turns is not sent."""
_REASONING = frozenset({"context", "effort", "summary", "generate_summary", "mode"})
_TRANSLATED = frozenset(
    {"include", "input", "instructions", "max_tool_calls", "reasoning", "text", "tool_choice", "tools", "truncation"}
) | frozenset(_SAME)
_SYSTEM = frozenset({"system", "developer"})


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """Return what of a request no chat upstream can be given, as its client named it; None when all can."""
    for item in body["input"]:
        if item["type"] not in KNOWN:
            return f"input of the type {item['type']}"
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice["type"] not in TRANSLATED_KINDS | {"allowed_tools"}:
        return "tool_choice"
    if _forced(choice) and not offered_tools(body):
        return "tool_choice"
    reasoning = body.get("reasoning", {})
    if reasoning.get("context") not in {None, *_CONTEXTS}:
        return "reasoning.context"
    return unknown_reasoning(body)


def unknown_reasoning(body: Mapping[str, Any]) -> str | None:
    """Return a member of `reasoning` that is none of the API's, or None: nobody knows what it would cost."""
    given = (name for name, value in body.get("reasoning", {}).items() if value is not None)
    return next((f"reasoning.{name}" for name in given if name not in _REASONING), None)


def unknown_fields(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield fields that have no translation: they pass only where a pool lists them."""
    return (name for name in body if name not in _TRANSLATED)


def origin(chat_field: str) -> str:
    """Return what a client that speaks Responses calls a chat field, or a place within one."""
    name = chat_field.partition("[")[0]
    return _ORIGINS.get(name, name)


def offered_tools(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the tools that a chat upstream is offered: those it can call, and that the choice allows."""
    tools = [tool for tool in body.get("tools", ()) if tool["type"] in TRANSLATED_KINDS]
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice["type"] == "allowed_tools":
        allowed = {tool.get("name") for tool in choice["tools"] if tool["type"] in TRANSLATED_KINDS}
        tools = [tool for tool in tools if tool["name"] in allowed]
    return tools


def chat_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's fields as chat has them; without its model, cap and streaming, which the gateway sets."""
    fields: dict[str, Any] = {name: body[name] for name in unknown_fields(body)}
    fields |= {name: body[name] for name in _SAME if name in body}
    fields["messages"] = list(_messages(body.get("instructions"), body["input"]))
    fields |= _tools(body)
    if "tools" not in fields:
        fields.pop("parallel_tool_calls", None)
    text, reasoning = body.get("text", {}), body.get("reasoning", {})
    if (form := _response_format(text.get("format"))) is not None:
        fields["response_format"] = form
    if text.get("verbosity") is not None:
        fields["verbosity"] = text["verbosity"]
    if reasoning.get("effort") is not None:
        fields["reasoning_effort"] = reasoning["effort"]
    if asks_logprobs(body):
        fields["logprobs"] = True
    else:
        fields.pop("top_logprobs", None)  # none of them, and chat takes that only with `logprobs`
    return fields


def asks_logprobs(body: Mapping[str, Any]) -> bool:
    """Return whether a request wants log probabilities with its text."""
    return LOGPROBS in body.get("include", ()) or bool(body.get("top_logprobs"))


def _forced(choice: Any) -> bool:
    mode = choice.get("mode") if isinstance(choice, Mapping) else choice
    return mode == "required"


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = offered_tools(body)
    if not tools:
        return {}
    fields: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    choice = body.get("tool_choice")
    if isinstance(choice, str):
        fields["tool_choice"] = choice
    elif isinstance(choice, Mapping):
        named = {"type": "function", "function": {"name": choice.get("name")}}
        fields["tool_choice"] = choice["mode"] if choice["type"] == "allowed_tools" else named
    return fields


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool as a chat function; a custom one becomes a function of one string."""
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    if tool["type"] == "custom":
        form = tool.get("format") or {}
        if form.get("type") == "grammar":
            rule = f"The input must match this {form['syntax']} grammar:\n{form['definition']}"
            function["description"] = "\n\n".join(filter(None, (function.get("description"), rule)))
        properties = {MEMBER: {"type": "string"}}
        function["parameters"] = {"type": "object", "properties": properties, "required": [MEMBER]}
    return {"type": "function", "function": function}


def _response_format(form: Any) -> dict[str, Any] | None:
    if not isinstance(form, Mapping) or form["type"] == "text":
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    names = ("name", "description", "schema", "strict")
    return {"type": "json_schema", "json_schema": {name: form[name] for name in names if form.get(name) is not None}}


def _messages(instructions: Any, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """
    Yield the messages of a request.

    Instructions and the system messages before all others are one system message: many templates know only one, and
    only in front.
    """
    leading = [] if not instructions else [instructions]
    rest = list(items)
    while rest and rest[0]["type"] == "message" and rest[0]["role"] in _SYSTEM:
        leading.append(_joined(_content(rest.pop(0)["content"])))
    if leading:
        yield {"role": "system", "content": "\n\n".join(leading)}
    outputs = {item["call_id"]: item for item in rest if item["type"] in OUTPUTS}
    turn: list[Item] = []
    for item in rest:
        if item["type"] in CALLS or (item["type"] == "message" and item["role"] == "assistant"):
            turn.append(item)
        elif item["type"] == "message":
            yield from _assistant(turn, outputs)
            turn = []
            role = "system" if item["role"] in _SYSTEM else item["role"]
            yield {"role": role, "content": _content(item["content"])}
        elif item["type"] in OUTPUTS:
            yield from _assistant(turn, outputs)
            turn = []
    yield from _assistant(turn, outputs)


def _assistant(turn: Sequence[Item], outputs: Mapping[str, Item]) -> Iterator[dict[str, Any]]:
    """Yield what the model said and called at once, then what its calls came to. Calls that nobody answered go."""
    calls = [item for item in turn if item["type"] in CALLS and item["call_id"] in outputs]
    texts = [_joined(_content(item["content"])) for item in turn if item["type"] == "message"]
    if not calls and not texts:
        return
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = [_call(item) for item in calls]
    yield message
    pictures: list[dict[str, Any]] = []
    for call in calls:
        content = _content(outputs[call["call_id"]]["output"])
        yield {"role": "tool", "tool_call_id": call["call_id"], "content": _joined(content)}
        pictures += [part for part in content if part["type"] != "text"] if isinstance(content, list) else []
    if pictures:  # a tool message has room for text alone
        yield {"role": "user", "content": pictures}


def _call(item: Item) -> dict[str, Any]:
    arguments = item["arguments"] if item["type"] == "function_call" else json_text({MEMBER: item["input"]})
    function = {"name": item["name"], "arguments": arguments}
    return {"id": item["call_id"], "type": "function", "function": function}


def _content(content: Any) -> str | list[dict[str, Any]]:
    """Return content as chat has it: one string where it is text alone."""
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    return _joined(parts) if all(part["type"] == "text" for part in parts) else parts


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] in IMAGES:
        url = {"url": part["image_url"]}
        return {"type": "image_url", "image_url": url | ({"detail": part["detail"]} if part.get("detail") else {})}
    if part["type"] == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    if part["type"] == "input_file":
        text = as_text(part)
        if text is not None:
            return {"type": "text", "text": text}
        return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data") if name in part}}
    return {"type": "text", "text": part["refusal"] if part["type"] == "refusal" else part["text"]}


def _joined(content: str | Iterable[Mapping[str, Any]]) -> str:
    """Return the text of content, parts by line."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")

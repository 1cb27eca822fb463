"""
Chat chunks put together again into whole choices, for upstreams that must be asked for a stream.

Texts are joined, tool calls are joined by their index, log probabilities are listed; anything else keeps its last
value. Nothing an upstream may put in a delta makes this fail.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_LISTS = frozenset({"content", "refusal"})
"""Members of `logprobs` that grow."""


def assembled(chunks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices that the `choices` of these chunks make up, by index."""
    whole: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            index = part.get("index", 0)
            choice = whole.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}})
            _add_delta(choice["message"], part["delta"])
            _add_logprobs(choice, part.get("logprobs"))
            choice["finish_reason"] = part.get("finish_reason") or choice.get("finish_reason")
    return [whole[index] for index in sorted(whole)]


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls" and isinstance(value, list):
            calls = message.get(name)
            message[name] = calls if isinstance(calls, list) else []
            _add_tool_calls(message[name], value)
        elif name != "role" and isinstance(value, str):
            message[name] = _text(message.get(name)) + value
        elif value is not None:
            message[name] = value


def _add_tool_calls(calls: list[dict[str, Any]], parts: Iterable[Any]) -> None:
    for part in parts:
        if not isinstance(part, Mapping):
            continue
        index = part.get("index", 0)
        if index == len(calls):
            calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        if index not in range(len(calls)):
            continue
        call, function = calls[index], part.get("function")
        function = function if isinstance(function, Mapping) else {}
        call["id"] = part.get("id") or call["id"]
        call["type"] = part.get("type") or call["type"]
        call["function"]["name"] += _text(function.get("name"))
        call["function"]["arguments"] += _text(function.get("arguments"))


def _add_logprobs(choice: dict[str, Any], logprobs: Any) -> None:
    if not isinstance(logprobs, Mapping):
        return
    kept = choice.setdefault("logprobs", {})
    for name in _LISTS & logprobs.keys():
        kept[name] = kept.get(name, []) + (logprobs[name] if isinstance(logprobs[name], list) else [])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

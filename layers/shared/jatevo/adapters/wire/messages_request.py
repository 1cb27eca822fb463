"""
Requests of Anthropic's Messages API: from the client's bytes to what the gate needs.

A request becomes what a response is asked with, so both engines serve it, and it is measured and capped as one. Every
field is checked, or refused by name; what only tells one provider how to cache or to whom to account has no effect.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jatevo.adapters.wire.checks import (
    MOST_OUTPUT_TOKENS,
    MOST_TOOLS,
    Check,
    Invalid,
    check_fields,
    integer,
    invalid,
    is_one_of,
    missing_or_invalid,
    model_of,
    number,
    of,
    one_of,
    parsed,
    unsupported,
)
from jatevo.adapters.wire.json_schema import fault_in
from jatevo.adapters.wire.messages_content import items_of, named_as_sent, system_text, tool_choice_of, tools_of
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request
from jatevo.adapters.wire.responses_tools import served_tools
from jatevo.application.exchange import InferenceRequest
from jatevo.application.responses import Resolved, Turn
from jatevo.domain.refusals import Refusal, shown

THINKING = "thinking"
"""What of the thinking the client wants to see: `shown`, `omitted`, or none where it did not ask for any."""
STOP = "stop_sequences"

_READ_HERE = frozenset(
    {
        "cache_control",
        "context_management",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
_MOST_STOPS = 64
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""What upstreams know of how hard to think, by Anthropic's words for it."""
_LITTLE_THINKING, _SOME_THINKING = 4096, 16_384
"""Token budgets up to which thinking is of low, and of medium effort."""


def parse_messages_request(raw: bytes) -> InferenceRequest | Refusal:
    """Return what a body asks for, or the refusal that names what is wrong with it."""
    return parsed(raw, "'model', 'max_tokens' and 'messages'", _request)


def parse_count_request(raw: bytes) -> InferenceRequest | Refusal:
    """Return what a body wants counted: a request without what concerns the answer alone."""
    return parsed(raw, "'model' and 'messages'", _counted)


def _request(body: dict[str, Any]) -> InferenceRequest:
    if "max_tokens" not in body:
        raise missing_or_invalid(None, "max_tokens", "the most tokens that the answer may have")
    return _counted(body)


def _counted(body: dict[str, Any]) -> InferenceRequest:
    model = model_of(body)
    check_fields(body, _CHECKS)
    _refuse_what_is_not_served(body)
    placed = items_of(body.get("messages"))
    if not placed:
        raise invalid("messages", "a list with something in it")
    request = ResponsesRequest(
        model=model,
        turn=Turn((), store=False),
        fields=_fields(body),
        echo={THINKING: _wanted_thinking(body), STOP: tuple(body.get("stop_sequences", ()))},
        output_cap=body.get("max_tokens"),
        stream=body.get("stream", False),
    )
    made = inference_request(request, Resolved((), tuple(item for item, _ in placed)))
    if isinstance(made, Refusal):
        raise named_as_sent(Invalid(made), [place for _, place in placed])
    return replace(made, include_usage=True)


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes to an engine besides the input, by the names of a response's request."""
    fields: dict[str, Any] = {name: value for name, value in body.items() if name not in _READ_HERE}
    if "system" in body:
        fields["instructions"] = system_text(body["system"])
    if body.get("stop_sequences"):
        fields["stop"] = list(body["stop_sequences"])
    fields |= _thinking(body) | _form(body)
    tools, choice = tools_of(body.get("tools", [])), body.get("tool_choice")
    if choice is not None:
        fields["tool_choice"] = tool_choice_of(choice, body.get("tools", []), tools)
        if choice.get("disable_parallel_tool_use") is not None:
            fields["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]
    return served_tools({**fields, "tools": tools})


def _thinking(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return how hard to think, as an effort: upstreams have no budgets of tokens for it."""
    thinking, effort = body.get("thinking", {}), body.get("output_config", {}).get("effort")
    fields: dict[str, Any] = {}
    reasoning = {"effort": _EFFORTS[effort]} if effort is not None else {}
    if thinking.get("type") == "enabled" and not reasoning:
        budget = thinking["budget_tokens"]
        word = "low" if budget <= _LITTLE_THINKING else "medium" if budget <= _SOME_THINKING else "high"
        reasoning = {"effort": word}
    if _wanted_thinking(body):
        reasoning["summary"] = "auto"
        fields["include"] = ["reasoning.encrypted_content"]
    return fields | ({"reasoning": reasoning} if reasoning else {})


def _wanted_thinking(body: Mapping[str, Any]) -> str | None:
    thinking = body.get("thinking", {})
    if thinking.get("type", "disabled") == "disabled":
        return None
    return "omitted" if thinking.get("display") == "omitted" else "shown"


def _form(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form that the answer must have, where there is one."""
    form = body.get("output_config", {}).get("format") or body.get("output_format")
    if form is None:
        return {}
    place = "output_config.format" if body.get("output_config", {}).get("format") else "output_format"
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise invalid(f"{place}.type", "json_schema")
    if fault := fault_in(form.get("schema"), f"{place}.schema"):
        raise invalid(*fault)
    return {"text": {"format": {"type": "json_schema", "name": "answer", "schema": form["schema"], "strict": True}}}


def _refuse_what_is_not_served(body: Mapping[str, Any]) -> None:
    _check_thinking(body)
    for name, value in body.get("output_config", {}).items():
        if name not in {"effort", "format"}:
            raise unsupported(f"output_config.{name}")
        if name == "effort" and value is not None and not is_one_of(value, frozenset(_EFFORTS)):
            raise invalid("output_config.effort", "one of " + ", ".join(_EFFORTS))
    edits = body.get("context_management", {}).get("edits") or []
    for index, edit in enumerate(edits if isinstance(edits, list) else [edits]):
        kind = edit.get("type") if isinstance(edit, dict) else None
        if not isinstance(kind, str) or not kind.startswith("clear_thinking"):
            raise unsupported(f"context_management.edits[{index}]", "Only thinking is cleared, and always is.")
    choice = body.get("tool_choice", {})
    if not isinstance(choice.get("disable_parallel_tool_use"), bool | None):
        raise invalid("tool_choice.disable_parallel_tool_use", "true or false")


def _check_thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking", {})
    kind = thinking.get("type", "disabled")
    if not is_one_of(kind, frozenset({"enabled", "disabled", "adaptive", "between_tools"})):
        raise invalid("thinking.type", "one of enabled, disabled, adaptive, between_tools")
    if not is_one_of(thinking.get("display") or "summarized", frozenset({"summarized", "omitted"})):
        raise invalid("thinking.display", "one of summarized, omitted")
    check, what = integer(1024, MOST_OUTPUT_TOKENS)
    if kind == "enabled" and not check(thinking.get("budget_tokens")):
        raise missing_or_invalid(thinking.get("budget_tokens"), "thinking.budget_tokens", what)
    if kind == "enabled" and thinking["budget_tokens"] >= body.get("max_tokens", MOST_OUTPUT_TOKENS):
        raise invalid("thinking.budget_tokens", "less than 'max_tokens'")


def _is_stops(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_STOPS and all(isinstance(text, str) for text in value)


def _is_tools(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_TOOLS and all(isinstance(tool, dict) for tool in value)


_OBJECT: Check = of(dict, "an object")
_CHECKS: dict[str, Check] = {
    "cache_control": _OBJECT,
    "context_management": _OBJECT,
    "max_tokens": integer(1, MOST_OUTPUT_TOKENS),
    "metadata": _OBJECT,
    "output_config": _OBJECT,
    "output_format": _OBJECT,
    "service_tier": one_of("auto", "standard_only"),
    "speed": one_of("standard"),
    "stop_sequences": (_is_stops, f"a list of at most {_MOST_STOPS} strings"),
    "stream": of(bool, "true or false"),
    "temperature": number(0, 1),
    "thinking": _OBJECT,
    "tool_choice": _OBJECT,
    "tools": (_is_tools, f"a list of at most {MOST_TOOLS} tools, each an object"),
    "top_k": integer(0, 1_000_000),
    "top_p": number(0, 1),
}


def sent_as(param: str) -> str:
    """Return what a client of this API calls a field that an engine refuses by its own name."""
    return _SENT_AS.get(param, shown(param))


_SENT_AS = {
    "input": "messages",
    "instructions": "system",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning.effort": "thinking",
    "reasoning": "thinking",
    "stop": "stop_sequences",
    "text": "output_config.format",
    "text.format": "output_config.format",
}

"""
Responses requests: from the client's bytes to what the gate needs.

Two steps, because what a request continues is looked up between them: `parse_responses_request` checks every field by
itself, or refuses it by name; `inference_request` puts earlier turns in front, checks what only the whole can tell, and
measures all that the model will see. What would change cost or length is set by the gateway, never passed on; what the
gateway keeps itself (`store`, `previous_response_id`, `conversation`) never reaches an upstream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jatevo.adapters.json_text import json_text
from jatevo.adapters.wire.checks import (
    MOST_OUTPUT_TOKENS,
    STOP,
    TOOLS,
    Check,
    Invalid,
    check_fields,
    contradicts,
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
from jatevo.adapters.wire.measuring import bytes_of, fingerprint, measured
from jatevo.adapters.wire.responses_compaction import as_message
from jatevo.adapters.wire.responses_files import is_text_file
from jatevo.adapters.wire.responses_items import AUDIO, FILE, IMAGES, check_pairs, input_items, parts_of
from jatevo.adapters.wire.responses_tools import served_tools
from jatevo.application.exchange import InferenceRequest
from jatevo.application.responses import Item, Resolved, Turn
from jatevo.domain.projection import InputSize
from jatevo.domain.refusals import Refusal, shown

_SET_BY_GATEWAY = frozenset(
    {
        "background",
        "client_metadata",  # what Codex tells of itself: nobody's business upstream
        "conversation",
        "input",
        "max_output_tokens",
        "metadata",
        "model",
        "previous_response_id",
        "service_tier",
        "store",
        "stream",
        "stream_options",
    }
)
_ECHOED = ("max_output_tokens", "metadata", "previous_response_id")
_MEASURED_AS_TOOLS = ("tools", "text")
_CUSTOM_TOOL_BYTES = 200
"""What a custom tool grows by where it has to be offered as a function."""
_MEDIA = IMAGES | {AUDIO, FILE}
_MOST_METADATA, _LONGEST_METADATA_NAME, _LONGEST_METADATA_VALUE = 16, 64, 512
INCLUDABLE = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A checked request, before what it continues is known."""

    model: str
    turn: Turn
    fields: Mapping[str, Any]
    """What goes to the upstream besides the input, as the client named it."""
    echo: Mapping[str, Any]
    """What the answer repeats besides `fields`."""
    output_cap: int | None
    stream: bool


def parse_responses_request(raw: bytes) -> ResponsesRequest | Refusal:
    """Return what a body asks for, or the refusal that names what is wrong with it."""
    return parsed(raw, "'model' and 'input'", responses_request)


def inference_request(request: ResponsesRequest, resolved: Resolved) -> InferenceRequest | Refusal:
    """Return what is asked of a model once a turn's references are resolved, or why it cannot be."""
    try:
        check_pairs(resolved.prior, resolved.own)
    except Invalid as wrong:
        return wrong.refusal
    items = tuple(as_message(item) or item for item in (*resolved.prior, *resolved.own))
    if not items:
        return missing_or_invalid(None, "input", "a string or a list of items").refusal
    return InferenceRequest(
        model=request.model,
        size=_measured(items, request.fields),
        body={"input": items, **request.fields},
        output_cap=request.output_cap,
        stream=request.stream,
        include_usage=True,
        conversation=_conversation(items, request.fields),
        echo=request.echo,
    )


def responses_request(body: dict[str, Any]) -> ResponsesRequest:
    """Return what a body of members that are not null asks for. Raises Invalid."""
    model = model_of(body)
    check_fields(body, _CHECKS)
    _check_streaming(body)
    _refuse_what_is_not_served(body)
    _check_text(body.get("text", {}))
    _check_reasoning(body.get("reasoning", {}))
    _check_include(body.get("include", []))
    turn = _turn(body)
    body = served_tools(body)
    echo = {name: body[name] for name in _ECHOED if name in body} | {"store": turn.store}
    if turn.conversation_id is not None:
        echo["conversation"] = {"id": turn.conversation_id}
    return ResponsesRequest(
        model=model,
        turn=turn,
        fields={name: value for name, value in body.items() if name not in _SET_BY_GATEWAY},
        echo=echo,
        output_cap=body.get("max_output_tokens"),
        stream=body.get("stream", False),
    )


def _turn(body: Mapping[str, Any]) -> Turn:
    previous, conversation = body.get("previous_response_id"), body.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    if "conversation" in body and not isinstance(conversation, str):
        raise invalid("conversation", "a conversation's id, or an object with 'id'")
    if previous is not None and conversation is not None:
        raise contradicts("previous_response_id", "Give either 'previous_response_id' or 'conversation', not both.")
    continues = previous is not None or conversation is not None
    return Turn(
        items=() if continues and "input" not in body else input_items(body.get("input")),
        previous_response_id=previous,
        conversation_id=conversation,
        store=body.get("store", True),
    )


def _check_streaming(body: Mapping[str, Any]) -> None:
    options = body.get("stream_options", {})
    if options and not body.get("stream", False):
        raise invalid("stream_options", "absent unless 'stream' is true")
    for name, value in options.items():
        if name != "include_obfuscation":
            raise unsupported(f"stream_options.{name}")
        if not isinstance(value, bool | None):
            raise invalid(f"stream_options.{name}", "true or false")


def _refuse_what_is_not_served(body: Mapping[str, Any]) -> None:
    if body.get("background"):
        raise unsupported("background", "Responses are not made in the background: leave 'background' out.")
    if body.get("service_tier", "auto") not in {"auto", "default"}:
        raise unsupported("service_tier", "Only the service tiers 'auto' and 'default' are served.")
    if "prompt" in body:
        raise unsupported("prompt", "Stored prompts are not served: send 'instructions' and 'input' instead.")
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body:
            raise unsupported(name, f"Here the cap of an answer is 'max_output_tokens', not '{name}'.")


def _check_text(text: Mapping[str, Any]) -> None:
    for name in text:
        if name not in {"format", "verbosity"}:
            raise unsupported(f"text.{name}")
    if text.get("verbosity") is not None and not is_one_of(text["verbosity"], frozenset({"low", "medium", "high"})):
        raise invalid("text.verbosity", "one of low, medium, high")
    form = text.get("format")
    if form is None:
        return
    kind = form.get("type") if isinstance(form, dict) else None
    if not is_one_of(kind, frozenset({"text", "json_object", "json_schema"})):
        raise invalid("text.format.type", "one of text, json_object, json_schema")
    if kind == "json_schema":
        if not isinstance(form.get("name"), str) or not form["name"]:
            raise invalid("text.format.name", "a string that is not empty")
        if fault := fault_in(form.get("schema"), "text.format.schema"):
            raise invalid(*fault)
        if not isinstance(form.get("strict"), bool | None):
            raise invalid("text.format.strict", "true or false")


def _check_reasoning(reasoning: Mapping[str, Any]) -> None:
    for name, value in reasoning.items():
        if not isinstance(value, str | None):
            raise invalid(f"reasoning.{shown(name)}", "a string")
    if reasoning.get("mode") not in {None, "standard"}:
        raise unsupported("reasoning.mode", "Only the reasoning mode 'standard' is served.")


def _check_include(include: list[Any]) -> None:
    for place, name in enumerate(include):
        if not is_one_of(name, INCLUDABLE):
            raise invalid(f"include[{place}]", "one of " + ", ".join(sorted(INCLUDABLE)))


def _conversation(items: tuple[Item, ...], fields: Mapping[str, Any]) -> str:
    """Return what the turns of a conversation share: its cache key, or a hash of all up to the user's first words."""
    head: list[Any] = [fields.get("prompt_cache_key", fields.get("instructions"))]
    for item in items if "prompt_cache_key" not in fields else ():
        head.append(item)
        if item.get("role") == "user":
            break
    return fingerprint(head)


def _measured(items: tuple[Item, ...], fields: Mapping[str, Any]) -> InputSize:
    counts = dict.fromkeys(_MEDIA, 0)
    seen: list[Any] = [_without_media(item, counts) for item in items]
    seen += [value for name, value in fields.items() if name not in _MEASURED_AS_TOOLS]
    ascii_bytes, other_bytes = measured(seen)
    tool_ascii, tool_other = bytes_of(json_text([fields[name] for name in _MEASURED_AS_TOOLS if name in fields]))
    tool_ascii += _CUSTOM_TOOL_BYTES * sum(tool["type"] == "custom" for tool in fields.get("tools", ()))
    return InputSize(
        ascii_bytes=ascii_bytes,
        other_bytes=other_bytes,
        tool_ascii_bytes=tool_ascii,
        tool_other_bytes=tool_other,
        messages=len(items) + 1,
        images=sum(counts[kind] for kind in IMAGES),
        audio_parts=counts[AUDIO],
        files=counts[FILE],
    )


def _without_media(item: Item, counts: dict[str, int]) -> Item:
    """Return what of an item is measured as text; images, audio and files are counted instead."""
    media = [part for part in parts_of(item) if is_one_of(part.get("type"), _MEDIA) and not is_text_file(part)]
    if not media:
        return item
    for part in media:
        counts[part["type"]] += 1
    counted = {id(part) for part in media}
    members = {name: value for name, value in item.items() if id(value) not in counted}
    for name in ("content", "output"):
        if isinstance(members.get(name), list):
            members[name] = [part for part in members[name] if id(part) not in counted]
    return members


def _is_metadata(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _MOST_METADATA
        and all(len(name) <= _LONGEST_METADATA_NAME for name in value)
        and all(isinstance(text, str) and len(text) <= _LONGEST_METADATA_VALUE for text in value.values())
    )


METADATA: Check = (
    _is_metadata,
    f"an object of at most {_MOST_METADATA} strings, none longer than {_LONGEST_METADATA_VALUE} characters",
)

_CHECKS: dict[str, Check] = {
    "background": of(bool, "true or false"),
    "client_metadata": of(dict, "an object"),
    "conversation": of((str, dict), "a conversation's id, or an object with 'id'"),
    "include": of(list, "a list"),
    "instructions": of(str, "a string"),
    "max_output_tokens": integer(1, MOST_OUTPUT_TOKENS),
    "max_tool_calls": integer(1, 10_000),
    "metadata": METADATA,
    "parallel_tool_calls": of(bool, "true or false"),
    "previous_response_id": of(str, "a response's id"),
    "prompt_cache_key": of(str, "a string"),
    "reasoning": of(dict, "an object"),
    "safety_identifier": of(str, "a string"),
    "service_tier": of(str, "a string"),
    "stop": STOP,
    "store": of(bool, "true or false"),
    "stream": of(bool, "true or false"),
    "stream_options": of(dict, "an object"),
    "temperature": number(0, 2),
    "text": of(dict, "an object"),
    "tool_choice": of((str, dict), "a string or an object"),
    "tools": TOOLS,
    "top_logprobs": integer(0, 20),
    "top_p": number(0, 1),
    "truncation": one_of("auto", "disabled"),
    "user": of(str, "a string"),
}

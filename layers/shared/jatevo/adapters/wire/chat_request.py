"""
Chat completion requests: from the client's bytes to what the gate needs, and to the upstream's body.

Guarantees: every field is checked or refused by name; what would change cost or length is set by the gateway, never
passed on; all that the model will see is measured. `null` counts as absent, as it does with OpenAI.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jatevo.adapters.json_text import json_text
from jatevo.adapters.wire.chat_quirks import fitted_to, refused_role
from jatevo.adapters.wire.checks import (
    MOST_OUTPUT_TOKENS,
    MOST_TOOLS,
    STOP,
    TOOLS,
    Check,
    Invalid,
    check_fields,
    integer,
    invalid,
    is_one_of,
    model_of,
    number,
    of,
    parsed,
    unsupported,
)
from jatevo.adapters.wire.measuring import bytes_of, fingerprint, measured
from jatevo.application.exchange import InferenceRequest
from jatevo.domain.catalogue import CountedBy, Pool
from jatevo.domain.projection import InputSize
from jatevo.domain.refusals import Code, Refusal, shown

_MOST_CHOICES = 128
_MOST_MESSAGES = 4096

_CAPS = ("max_tokens", "max_completion_tokens")
_SET_BY_GATEWAY = frozenset({"model", "stream", "stream_options", "metadata", "store", "service_tier", "modalities"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_TOOL_KINDS = frozenset({"function", "custom"})
_CHOOSABLE = _TOOL_KINDS | {"allowed_tools"}
_MEASURED_AS_TOOLS = ("tools", "functions", "response_format")


def parse_chat_request(raw: bytes) -> InferenceRequest | Refusal:
    """Return what a body asks for, or the refusal that names what is wrong with it."""
    return parsed(raw, "'model' and 'messages'", _request)


def unsupported_chat_field(request: InferenceRequest, pool: Pool) -> Refusal | None:
    """Return the refusal that names a field of the request which a pool does not take, or None."""
    name = next((shown(name) for name in request.body if not pool.passes(name)), None) or refused_role(request, pool)
    if name is None:
        return None
    detail = f"The field '{name}' is not supported by the model '{request.model}'."
    return Refusal(Code.UNSUPPORTED_PARAMETER, detail, param=name)


def upstream_chat_body(request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> dict[str, Any]:
    """Return the body for the upstream. Its cap is the one the reservation was made with."""
    body = fitted_to(request.body, pool)
    # Where only a stream counts every choice, a plain answer is asked for as one and put together again.
    stream = request.stream or (pool.usage_per_choice and request.choices > 1)
    body |= {"model": model, pool.cap_field: output_cap, "stream": stream}
    if stream and pool.usage is CountedBy.REPORTED:
        body["stream_options"] = {"include_usage": True}
    return body


def _request(body: dict[str, Any]) -> InferenceRequest:
    model = model_of(body)
    check_fields(body, _CHECKS)
    stream, include_usage = _streaming(body)
    _refuse_what_is_not_served(body)
    messages = _messages(body)
    body = _without_upstream_tools(body)
    return InferenceRequest(
        model=model,
        size=_measured(messages, body),
        choices=body.get("n", 1),
        output_cap=_output_cap(body),
        stream=stream,
        include_usage=include_usage,
        conversation=_conversation(messages),
        body={name: value for name, value in body.items() if name not in _SET_BY_GATEWAY and name not in _CAPS},
    )


def _output_cap(body: Mapping[str, Any]) -> int | None:
    """All aliases of the cap become one value: the smallest, should they differ."""
    caps = [body[name] for name in _CAPS if name in body]
    return min(caps) if caps else None


def _streaming(body: Mapping[str, Any]) -> tuple[bool, bool]:
    stream = body.get("stream", False)
    options = body.get("stream_options", {})
    if options and not stream:
        raise invalid("stream_options", "absent unless 'stream' is true")
    for name, value in options.items():
        if name not in {"include_usage", "include_obfuscation"}:
            raise unsupported(f"stream_options.{name}")
        if not isinstance(value, bool | None):
            raise invalid(f"stream_options.{name}", "true or false")
    return stream, bool(options.get("include_usage"))


def _refuse_what_is_not_served(body: Mapping[str, Any]) -> None:
    if body.get("store") is True:
        raise unsupported("store", "Completions are not stored: leave 'store' out or set it to false.")
    if body.get("service_tier", "auto") not in {"auto", "default"}:
        raise unsupported("service_tier", "Only the service tiers 'auto' and 'default' are served.")
    if body.get("modalities", ["text"]) != ["text"]:
        raise Invalid(Refusal(Code.UNSUPPORTED_MODALITY, "Only text output is served.", param="modalities"))


def _without_upstream_tools(body: dict[str, Any]) -> dict[str, Any]:
    """Take out tools that the upstream itself would run, unpriced; refuse a request that forces one."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and not is_one_of(choice.get("type"), _CHOOSABLE):
        raise unsupported("tool_choice", "Only tools of the types 'function' and 'custom' can be chosen.")
    if "tools" not in body:
        return body
    kept = [tool for tool in body["tools"] if tool["type"] in _TOOL_KINDS]
    if kept:
        return {**body, "tools": kept}
    if choice == "required":
        raise unsupported("tools", "None of these tools is served, and 'tool_choice' requires one.")
    return {name: value for name, value in body.items() if name not in {"tools", "tool_choice", "parallel_tool_calls"}}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "messages" not in body:
        raise Invalid(Refusal(Code.MISSING_FIELD, "The field 'messages' is missing.", param="messages"))
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "a list with at least one message")
    if len(messages) > _MOST_MESSAGES:
        raise invalid("messages", f"a list of at most {_MOST_MESSAGES} messages")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]")
    return messages


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise invalid(place, "an object with 'role' and 'content'")
    if not is_one_of(message.get("role"), _ROLES):
        raise invalid(f"{place}.role", "one of " + ", ".join(sorted(_ROLES)))
    content = message.get("content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{place}.content[{index}]")
    elif content is None:
        if message["role"] not in {"assistant", "function"}:
            raise invalid(f"{place}.content", "a string or a list of parts")
    elif not isinstance(content, str):
        raise invalid(f"{place}.content", "a string or a list of parts")
    if message.get("audio") is not None:
        # It stands for sound the upstream keeps: nobody could say what it costs.
        raise unsupported(f"{place}.audio")
    if not isinstance(message.get("tool_calls", []), list | None):
        raise invalid(f"{place}.tool_calls", "a list")


def _check_part(part: Any, place: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    match kind:
        case "text" if isinstance(part.get("text"), str):
            return
        case "refusal" if isinstance(part.get("refusal"), str):
            return
        case "image_url" if isinstance(part.get("image_url"), dict) and isinstance(part["image_url"].get("url"), str):
            return
        case "input_audio" if isinstance(part.get("input_audio"), dict):
            return
        case "text" | "refusal" | "image_url" | "input_audio":
            raise invalid(f"{place}.{kind}", "what its type says")
        case "file":
            raise Invalid(Refusal(Code.UNSUPPORTED_MODALITY, "Files are not served as chat input.", param=place))
        case _:
            raise invalid(f"{place}.type", "one of text, image_url, input_audio, refusal")


def _measured(messages: list[dict[str, Any]], body: Mapping[str, Any]) -> InputSize:
    parts = [part for message in messages for part in _parts(message)]
    images = sum(part["type"] == "image_url" for part in parts)
    audio = sum(part["type"] == "input_audio" for part in parts)
    ascii_bytes, other_bytes = measured(map(_without_media, messages) if images or audio else messages)
    tools = "".join(json_text(body[name]) for name in _MEASURED_AS_TOOLS if name in body)
    tool_ascii, tool_other = bytes_of(tools)
    return InputSize(
        ascii_bytes=ascii_bytes,
        other_bytes=other_bytes,
        tool_ascii_bytes=tool_ascii,
        tool_other_bytes=tool_other,
        messages=len(messages),
        images=images,
        audio_parts=audio,
    )


def _conversation(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what a conversation's turns have in common: a hash of its first messages, up to the user's first."""
    users = next((place for place, message in enumerate(messages) if message["role"] == "user"), len(messages))
    return fingerprint(part for message in messages[: users + 1] for part in (message["role"], message.get("content")))


def _parts(message: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else ()


def _without_media(message: Mapping[str, Any]) -> Mapping[str, Any]:
    text = [part for part in _parts(message) if part["type"] not in {"image_url", "input_audio"}]
    return {**message, "content": text} if isinstance(message.get("content"), list) else message


def _is_bias(value: Any) -> bool:
    numbers = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)


def _is_functions(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_TOOLS and all(isinstance(entry, dict) for entry in value)


_CHECKS: dict[str, Check] = {
    "max_tokens": integer(1, MOST_OUTPUT_TOKENS),
    "max_completion_tokens": integer(1, MOST_OUTPUT_TOKENS),
    "n": integer(1, _MOST_CHOICES),
    "stream": of(bool, "true or false"),
    "stream_options": of(dict, "an object"),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "top_logprobs": integer(0, 20),
    "logprobs": of(bool, "true or false"),
    "logit_bias": (_is_bias, "an object of numbers"),
    "seed": integer(-(2**63), 2**63 - 1),
    "stop": STOP,
    "tools": TOOLS,
    "tool_choice": of((str, dict), "a string or an object"),
    "parallel_tool_calls": of(bool, "true or false"),
    "response_format": of(dict, "an object"),
    "functions": (_is_functions, "a list of objects"),
    "modalities": of(list, "a list"),
    "metadata": of(dict, "an object"),
    "store": of(bool, "true or false"),
    "service_tier": of(str, "a string"),
    "user": of(str, "a string"),
    "prompt_cache_key": of(str, "a string"),
    "safety_identifier": of(str, "a string"),
    "reasoning_effort": of(str, "a string"),
    "verbosity": of(str, "a string"),
}

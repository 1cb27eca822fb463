"""
Chat completion requests: from the client's bytes to what the gate needs, and to the upstream's body.

Guarantees: every field is checked or refused by name; what would change cost or length is set by the gateway, never
passed on; all that the model will see is measured. `null` counts as absent, as it does with OpenAI.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jatevo.adapters.wire import strict_json
from jatevo.application.exchange import InferenceRequest
from jatevo.domain.catalogue import Pool
from jatevo.domain.projection import InputSize
from jatevo.domain.refusals import Code, Refusal, shown

MAX_BODY_BYTES = 6 * 1024 * 1024
MOST_OUTPUT_TOKENS = 10_000_000
"""A cap above this is a mistake; one above the model's own maximum is lowered to it."""
_MOST_CHOICES = 128
_MOST_MESSAGES = 4096
_MOST_TOOLS = 512

_CAPS = ("max_tokens", "max_completion_tokens")
_SET_BY_GATEWAY = frozenset({"model", "stream", "stream_options", "metadata", "store", "service_tier", "modalities"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_TOOL_KINDS = frozenset({"function", "custom"})
_CHOOSABLE = _TOOL_KINDS | {"allowed_tools"}
_MEASURED_AS_TOOLS = ("tools", "functions", "response_format")


class _Invalid(Exception):
    """Carries the refusal out of a nested check."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def parse_chat_request(raw: bytes) -> InferenceRequest | Refusal:
    """Return what a body asks for, or the refusal that names what is wrong with it."""
    if len(raw) > MAX_BODY_BYTES:
        return Refusal(Code.REQUEST_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES // 1024**2} MB.")
    if not raw.strip():
        return Refusal(Code.INVALID_JSON, "The body is empty: send a JSON object with 'model' and 'messages'.")
    try:
        value = strict_json.loads(raw)
        if not isinstance(value, dict):
            return Refusal(Code.INVALID_TYPE, "The body must be a JSON object.")
        return _request({name: member for name, member in value.items() if member is not None})
    except strict_json.BadJson as error:
        return Refusal(Code.INVALID_JSON, str(error))
    except _Invalid as invalid:
        return invalid.refusal


def unsupported_chat_field(request: InferenceRequest, pool: Pool) -> Refusal | None:
    """Return the refusal that names a field of the request which a pool does not take, or None."""
    name = next((shown(name) for name in request.body if not pool.passes(name)), None)
    if name is None:
        return None
    detail = f"The field '{name}' is not supported by the model '{request.model}'."
    return Refusal(Code.UNSUPPORTED_PARAMETER, detail, param=name)


def upstream_chat_body(request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> dict[str, Any]:
    """Return the body for the upstream. Its cap is the one the reservation was made with."""
    body = {name: value for name, value in request.body.items() if pool.passes(name)}
    # Where only a stream counts every choice, a plain answer is asked for as one and put together again.
    stream = request.stream or (pool.usage_per_choice and request.choices > 1)
    body |= {"model": model, pool.cap_field: output_cap, "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    return body


def _request(body: dict[str, Any]) -> InferenceRequest:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _wrong(model, "model", "a model's id, such as one from GET /v1/models")
    for name, (check, what) in _CHECKS.items():
        if name in body and not check(body[name]):
            raise _invalid(name, what)
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
        raise _invalid("stream_options", "absent unless 'stream' is true")
    for name, value in options.items():
        if name not in {"include_usage", "include_obfuscation"}:
            raise _unsupported(f"stream_options.{name}")
        if not isinstance(value, bool | None):
            raise _invalid(f"stream_options.{name}", "true or false")
    return stream, bool(options.get("include_usage"))


def _refuse_what_is_not_served(body: Mapping[str, Any]) -> None:
    if body.get("store") is True:
        raise _unsupported("store", "Completions are not stored: leave 'store' out or set it to false.")
    if body.get("service_tier", "auto") not in {"auto", "default"}:
        raise _unsupported("service_tier", "Only the service tiers 'auto' and 'default' are served.")
    if body.get("modalities", ["text"]) != ["text"]:
        raise _Invalid(Refusal(Code.UNSUPPORTED_MODALITY, "Only text output is served.", param="modalities"))


def _without_upstream_tools(body: dict[str, Any]) -> dict[str, Any]:
    """Take out tools that the upstream itself would run, unpriced; refuse a request that forces one."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and not _is_one_of(choice.get("type"), _CHOOSABLE):
        raise _unsupported("tool_choice", "Only tools of the types 'function' and 'custom' can be chosen.")
    if "tools" not in body:
        return body
    kept = [tool for tool in body["tools"] if tool["type"] in _TOOL_KINDS]
    if kept:
        return {**body, "tools": kept}
    if choice == "required":
        raise _unsupported("tools", "None of these tools is served, and 'tool_choice' requires one.")
    return {name: value for name, value in body.items() if name not in {"tools", "tool_choice", "parallel_tool_calls"}}


def _messages(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "messages" not in body:
        raise _Invalid(Refusal(Code.MISSING_FIELD, "The field 'messages' is missing.", param="messages"))
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages", "a list with at least one message")
    if len(messages) > _MOST_MESSAGES:
        raise _invalid("messages", f"a list of at most {_MOST_MESSAGES} messages")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]")
    return messages


def _check_message(message: Any, place: str) -> None:
    if not isinstance(message, dict):
        raise _invalid(place, "an object with 'role' and 'content'")
    if not _is_one_of(message.get("role"), _ROLES):
        raise _invalid(f"{place}.role", "one of " + ", ".join(sorted(_ROLES)))
    content = message.get("content")
    if isinstance(content, list):
        for index, part in enumerate(content):
            _check_part(part, f"{place}.content[{index}]")
    elif content is None:
        if message["role"] not in {"assistant", "function"}:
            raise _invalid(f"{place}.content", "a string or a list of parts")
    elif not isinstance(content, str):
        raise _invalid(f"{place}.content", "a string or a list of parts")
    if message.get("audio") is not None:
        # It stands for sound the upstream keeps: nobody could say what it costs.
        raise _unsupported(f"{place}.audio")
    if not isinstance(message.get("tool_calls", []), list | None):
        raise _invalid(f"{place}.tool_calls", "a list")


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
            raise _invalid(f"{place}.{kind}", "what its type says")
        case "file":
            raise _Invalid(Refusal(Code.UNSUPPORTED_MODALITY, "Files are not served as chat input.", param=place))
        case _:
            raise _invalid(f"{place}.type", "one of text, image_url, input_audio, refusal")


def _measured(messages: list[dict[str, Any]], body: Mapping[str, Any]) -> InputSize:
    parts = [part for message in messages for part in _parts(message)]
    images = sum(part["type"] == "image_url" for part in parts)
    audio = sum(part["type"] == "input_audio" for part in parts)
    text = _compact([_without_media(message) for message in messages] if images or audio else messages)
    tools = "".join(_compact(body[name]) for name in _MEASURED_AS_TOOLS if name in body)
    ascii_bytes, other_bytes = _bytes_of(text)
    tool_ascii, tool_other = _bytes_of(tools)
    return InputSize(
        ascii_bytes=ascii_bytes,
        other_bytes=other_bytes,
        tool_ascii_bytes=tool_ascii,
        tool_other_bytes=tool_other,
        messages=len(messages),
        images=images,
        audio_parts=audio,
    )


def _parts(message: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else ()


def _without_media(message: Mapping[str, Any]) -> Mapping[str, Any]:
    text = [part for part in _parts(message) if part["type"] not in {"image_url", "input_audio"}]
    return {**message, "content": text} if isinstance(message.get("content"), list) else message


def _bytes_of(text: str) -> tuple[int, int]:
    """Return how many UTF-8 bytes of a text are ASCII, and how many are not."""
    if text.isascii():
        return len(text), 0
    ascii_bytes = len(text.encode("ascii", "ignore"))
    return ascii_bytes, len(text.encode("utf-8", "surrogatepass")) - ascii_bytes


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _wrong(value: Any, name: str, what: str) -> _Invalid:
    if value is None:
        return _Invalid(Refusal(Code.MISSING_FIELD, f"The field '{name}' is missing: {what}.", param=name))
    return _invalid(name, what)


def _invalid(name: str, what: str) -> _Invalid:
    return _Invalid(Refusal(Code.INVALID_VALUE, f"The field '{name}' must be {what}.", param=name))


def _unsupported(name: str, detail: str | None = None) -> _Invalid:
    name = shown(name)
    return _Invalid(Refusal(Code.UNSUPPORTED_PARAMETER, detail or f"The field '{name}' is not supported.", param=name))


def _integer(low: int, high: int) -> tuple[Callable[[Any], bool], str]:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check, f"a whole number from {low} to {high}"


def _number(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    def check(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return check, f"a number from {low} to {high}"


def _of(kinds: type | tuple[type, ...], what: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, kinds), what


def _is_one_of(value: Any, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(text, str) for text in value))


def _is_bias(value: Any) -> bool:
    numbers = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)


def _is_functions(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_TOOLS and all(isinstance(entry, dict) for entry in value)


def _is_tools(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_TOOLS
        and all(isinstance(tool, dict) and isinstance(tool.get("type"), str) for tool in value)
    )


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_tokens": _integer(1, MOST_OUTPUT_TOKENS),
    "max_completion_tokens": _integer(1, MOST_OUTPUT_TOKENS),
    "n": _integer(1, _MOST_CHOICES),
    "stream": _of(bool, "true or false"),
    "stream_options": _of(dict, "an object"),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "top_logprobs": _integer(0, 20),
    "logprobs": _of(bool, "true or false"),
    "logit_bias": (_is_bias, "an object of numbers"),
    "seed": _integer(-(2**63), 2**63 - 1),
    "stop": (_is_stop, "a string or a list of strings"),
    "tools": (_is_tools, f"a list of at most {_MOST_TOOLS} tools, each an object with 'type'"),
    "tool_choice": _of((str, dict), "a string or an object"),
    "parallel_tool_calls": _of(bool, "true or false"),
    "response_format": _of(dict, "an object"),
    "functions": (_is_functions, "a list of objects"),
    "modalities": _of(list, "a list"),
    "metadata": _of(dict, "an object"),
    "store": _of(bool, "true or false"),
    "service_tier": _of(str, "a string"),
    "user": _of(str, "a string"),
    "prompt_cache_key": _of(str, "a string"),
    "safety_identifier": _of(str, "a string"),
    "reasoning_effort": _of(str, "a string"),
    "verbosity": _of(str, "a string"),
}

"""
What the parsers of requests share: a body's outer form, and checks of single values.

A check is a predicate with the words that follow "must be". `Invalid` carries a refusal out of a nested check and
never leaves `parsed`. `null` counts as absent, as it does with OpenAI.
"""

from collections.abc import Callable
from typing import Any

from jatevo.adapters.wire import strict_json
from jatevo.domain.refusals import Code, Refusal, shown

MAX_BODY_BYTES = 6 * 1024 * 1024
MOST_OUTPUT_TOKENS = 10_000_000
"""A cap above this is a mistake; one above the model's own maximum is lowered to it."""
MOST_TOOLS = 512

type Check = tuple[Callable[[Any], bool], str]


class Invalid(Exception):
    """Carries the refusal out of a nested check."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def parsed[T](raw: bytes, needs: str, build: Callable[[dict[str, Any]], T]) -> T | Refusal:
    """Return what `build` makes of the members of a body that are not null, or the refusal that says what is wrong."""
    if len(raw) > MAX_BODY_BYTES:
        return Refusal(Code.REQUEST_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES // 1024**2} MB.")
    if not raw.strip():
        return Refusal(Code.INVALID_JSON, f"The body is empty: send a JSON object with {needs}.")
    try:
        value = strict_json.loads(raw)
        if not isinstance(value, dict):
            return Refusal(Code.INVALID_TYPE, "The body must be a JSON object.")
        return build({name: member for name, member in value.items() if member is not None})
    except strict_json.BadJson as error:
        return Refusal(Code.INVALID_JSON, str(error))
    except Invalid as wrong:
        return wrong.refusal


def model_of(body: dict[str, Any]) -> str:
    """Return the model a body names."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise missing_or_invalid(model, "model", "a model's id, such as one from GET /v1/models")
    return model


def check_fields(body: dict[str, Any], checks: dict[str, Check]) -> None:
    """Check each field that is there."""
    for name, (check, what) in checks.items():
        if name in body and not check(body[name]):
            raise invalid(name, what)


def missing_or_invalid(value: Any, name: str, what: str) -> Invalid:
    if value is None:
        return Invalid(Refusal(Code.MISSING_FIELD, f"The field '{name}' is missing: {what}.", param=name))
    return invalid(name, what)


def invalid(name: str, what: str) -> Invalid:
    return Invalid(Refusal(Code.INVALID_VALUE, f"The field '{name}' must be {what}.", param=name))


def contradicts(name: str, detail: str) -> Invalid:
    """Return the refusal of a field that is right by itself, and does not go with the others."""
    return Invalid(Refusal(Code.INVALID_VALUE, detail, param=name))


def unsupported(name: str, detail: str | None = None) -> Invalid:
    name = shown(name)
    return Invalid(Refusal(Code.UNSUPPORTED_PARAMETER, detail or f"The field '{name}' is not supported.", param=name))


def is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(text, str) for text in value))


STOP: Check = (is_stop, "a string or a list of strings")


def integer(low: int, high: int) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check, f"a whole number from {low} to {high}"


def number(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return check, f"a number from {low} to {high}"


def of(kinds: type | tuple[type, ...], what: str) -> Check:
    return lambda value: isinstance(value, kinds), what


def one_of(*names: str) -> Check:
    return lambda value: is_one_of(value, frozenset(names)), "one of " + ", ".join(names)


def is_one_of(value: Any, names: frozenset[str]) -> bool:
    return isinstance(value, str) and value in names


def is_tools(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MOST_TOOLS
        and all(isinstance(tool, dict) and isinstance(tool.get("type"), str) for tool in value)
    )


TOOLS: Check = (is_tools, f"a list of at most {MOST_TOOLS} tools, each an object with 'type'")

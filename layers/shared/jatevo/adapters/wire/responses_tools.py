"""
Tools of a Responses request: checked, and sorted by who would run them.

What the upstream itself would run has no price here: it is taken out where it is only offered, and refused where it is
forced. What the client runs passes; `function` and `custom` over every upstream, other kinds over those that speak the
format.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jatevo.adapters.wire.checks import TOOLS, contradicts, invalid, is_one_of, unsupported
from jatevo.adapters.wire.json_schema import fault_in
from jatevo.domain.refusals import shown

TRANSLATED_KINDS = frozenset({"function", "custom"})
"""Tools that can be offered over upstreams that speak chat."""

_RUN_UPSTREAM = (
    "web_search",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "programmatic_tool_calling",
)
"""How the types begin of tools that the upstream would run, with or without a version behind."""
_MODES = frozenset({"none", "auto", "required"})
_HOSTED_SHELL = frozenset({"container_auto", "container_reference"})
_GRAMMARS = frozenset({"lark", "regex"})


def runs_upstream(tool: Mapping[str, Any]) -> bool:
    """Return whether the upstream itself would run a tool."""
    environment = tool.get("environment")
    hosted = isinstance(environment, dict) and is_one_of(environment.get("type"), _HOSTED_SHELL)
    within = tool.get("tools")
    grouped = any(
        isinstance(inner, dict) and isinstance(inner.get("type"), str) and runs_upstream(inner)
        for inner in (within if isinstance(within, list) else ())
    )
    return tool["type"].startswith(_RUN_UPSTREAM) or hosted or grouped


def tool_name(tool: Mapping[str, Any]) -> str:
    """Return what a choice calls a tool: its name, or its type where it has none."""
    return str(tool.get("name") or tool["type"])


def served_tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without tools that are not served; the rest is checked. Raises Invalid."""
    tools = body.get("tools", [])
    for place, tool in enumerate(tools):
        _check_tool(tool, f"tools[{place}]")
    kept = [tool for tool in tools if not runs_upstream(tool)]
    _check_names(kept)
    _check_choice(body.get("tool_choice", "auto"), kept, offered=len(tools))
    if kept:
        choice = {"tool_choice": _served_choice(body["tool_choice"])} if "tool_choice" in body else {}
        return {**body, "tools": kept, **choice}
    return {name: value for name, value in body.items() if name not in {"tools", "tool_choice", "parallel_tool_calls"}}


def _served_choice(choice: Any) -> Any:
    """Return a choice that names no tool which was taken out."""
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return choice
    allowed = [tool for tool in choice["tools"] if not runs_upstream(tool)]
    return {**choice, "tools": allowed} if allowed else "none"


def _check_tool(tool: Mapping[str, Any], place: str) -> None:
    if tool["type"] not in TRANSLATED_KINDS:
        return
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise invalid(f"{place}.name", "a string that is not empty")
    if not isinstance(tool.get("description"), str | None):
        raise invalid(f"{place}.description", "a string")
    if tool["type"] == "custom":
        _check_grammar(tool.get("format"), f"{place}.format")
        return
    if not isinstance(tool.get("strict"), bool | None):
        raise invalid(f"{place}.strict", "true or false")
    if tool.get("parameters") is not None and (fault := fault_in(tool["parameters"], f"{place}.parameters")):
        raise invalid(*fault)


def _check_grammar(form: Any, place: str) -> None:
    if form is None:
        return
    if not isinstance(form, dict) or form.get("type") not in {"text", "grammar"}:
        raise invalid(f"{place}.type", "one of text, grammar")
    if form["type"] == "grammar":
        if not is_one_of(form.get("syntax"), _GRAMMARS):
            raise invalid(f"{place}.syntax", "one of lark, regex")
        if not isinstance(form.get("definition"), str):
            raise invalid(f"{place}.definition", "a string")


def _check_names(tools: Sequence[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for tool in tools:
        if tool["type"] not in TRANSLATED_KINDS:
            continue
        if tool["name"] in seen:
            raise contradicts("tools", f"There are two tools with the name '{shown(tool['name'])}'.")
        seen.add(tool["name"])


def _check_choice(choice: Any, kept: Sequence[Mapping[str, Any]], *, offered: int) -> None:
    if isinstance(choice, str):
        if choice not in _MODES:
            raise invalid("tool_choice", "one of auto, none, required, or an object that names a tool")
        if choice == "required" and not kept:
            detail = "None of these tools is served" if offered else "There are no tools"
            raise unsupported("tool_choice", f"{detail}, and 'tool_choice' requires one.")
        return
    kind = choice.get("type")
    if not isinstance(kind, str):
        raise invalid("tool_choice.type", "a string")
    if kind == "allowed_tools":
        _check_allowed(choice, kept)
    elif runs_upstream(choice):
        raise unsupported("tool_choice", f"Tools of the type '{shown(kind)}' are not served.")
    else:
        _check_named(choice, kept, "tool_choice")


def _check_allowed(choice: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> None:
    if not is_one_of(choice.get("mode"), frozenset({"auto", "required"})):
        raise invalid("tool_choice.mode", "one of auto, required")
    allowed: Any = choice.get("tools")
    check, what = TOOLS
    if not check(allowed):
        raise invalid("tool_choice.tools", what)
    for place, tool in enumerate(allowed):
        if not runs_upstream(tool):
            _check_named(tool, kept, f"tool_choice.tools[{place}]")
    if choice["mode"] == "required" and all(map(runs_upstream, allowed)):
        raise unsupported("tool_choice", "None of the allowed tools is served, and 'tool_choice' requires one.")


def _check_named(choice: Mapping[str, Any], kept: Sequence[Mapping[str, Any]], place: str) -> None:
    """Check that a choice names a tool that is there. Kinds without a name are known by their type."""
    if choice["type"] in TRANSLATED_KINDS:
        if not isinstance(choice.get("name"), str):
            raise invalid(f"{place}.name", "a string")
        if not any(tool["type"] == choice["type"] and tool["name"] == choice["name"] for tool in kept):
            raise contradicts(place, f"There is no tool '{shown(choice['name'])}' in 'tools'.")
    elif not any(tool["type"] == choice["type"] for tool in kept):
        raise contradicts(place, f"There is no tool of the type '{shown(choice['type'])}' in 'tools'.")

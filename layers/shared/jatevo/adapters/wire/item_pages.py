"""
Lists of items, page by page, and items as the published API shows them.

A page begins after an item, so that what is added meanwhile moves nothing; the list itself is bounded where it is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jatevo.adapters.wire.responses_request import INCLUDABLE
from jatevo.application.responses import Item
from jatevo.domain.refusals import Code, Refusal, shown

DEFAULT_LIMIT, MOST_LIMIT = 20, 100
_WITH_STATUS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
    }
)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for."""

    limit: int = DEFAULT_LIMIT
    newest_first: bool = True
    after: str | None = None


def paging_of(query: Sequence[tuple[str, str]]) -> Paging | Refusal:
    """Return the page that a query asks for, or why there is none."""
    if (refusal := include_refusal(query)) is not None:
        return refusal
    asked = dict(query)
    limit = asked.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= MOST_LIMIT):
        return Refusal(Code.INVALID_VALUE, f"'limit' must be a whole number from 1 to {MOST_LIMIT}.", param="limit")
    order = asked.get("order", "desc")
    if order not in {"asc", "desc"}:
        return Refusal(Code.INVALID_VALUE, "'order' must be one of asc, desc.", param="order")
    if "before" in asked:
        return Refusal(Code.UNSUPPORTED_PARAMETER, "Page with 'after' and 'order', not 'before'.", param="before")
    return Paging(int(limit), order == "desc", asked.get("after") or None)


def include_refusal(query: Sequence[tuple[str, str]]) -> Refusal | None:
    """Return why the `include` of a query cannot be had. All that is kept is shown anyway."""
    for name, value in query:
        if name in {"include", "include[]"} and value not in INCLUDABLE:
            detail = f"'{shown(value)}' cannot be included; one of {', '.join(sorted(INCLUDABLE))}."
            return Refusal(Code.INVALID_VALUE, detail, param="include")
    return None


def page_of(items: Sequence[Item], paging: Paging) -> dict[str, Any] | Refusal:
    """Return a page of items, given oldest first."""
    ordered = list(reversed(items)) if paging.newest_first else list(items)
    begin = 0
    if paging.after is not None:
        places = [place for place, item in enumerate(ordered) if item.get("id") == paging.after]
        if not places:
            detail = f"There is no item '{shown(paging.after)}' in this list."
            return Refusal(Code.INVALID_VALUE, detail, param="after")
        begin = places[-1] + 1
    data = [shown_item(item) for item in ordered[begin : begin + paging.limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
        "has_more": begin + paging.limit < len(ordered),
    }


def shown_item(item: Item) -> dict[str, Any]:
    """Return an item with what the published API requires of one that is listed."""
    whole = dict(item)
    if item["type"] in _WITH_STATUS:
        whole.setdefault("status", "completed")
    if item["type"] == "message" and isinstance(item["content"], str):
        whole["content"] = [_text_part(item)]
    return whole


def _text_part(message: Mapping[str, Any]) -> dict[str, Any]:
    if message["role"] == "assistant":
        return {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": message["content"]}

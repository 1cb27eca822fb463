"""Bodies of the conversation routes, checked."""

from dataclasses import dataclass
from typing import Any

from jatevo.adapters.wire.checks import check_fields, invalid, missing_or_invalid, parsed, unsupported
from jatevo.adapters.wire.responses_items import input_items
from jatevo.adapters.wire.responses_request import METADATA
from jatevo.application.responses import Item
from jatevo.domain.refusals import Refusal

MOST_ITEMS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class ConversationBody:
    """What a conversation is made or changed with; None for what is not there."""

    items: tuple[Item, ...] | None
    metadata: dict[str, str] | None


def conversation_body(raw: bytes, *, needs: str | None = None) -> ConversationBody | Refusal:
    """Return what a body says; `needs` names a field that must be there, and without one it may be empty."""

    def build(body: dict[str, Any]) -> ConversationBody:
        if needs is not None and needs not in body:
            raise missing_or_invalid(None, needs, "what to change")
        for name in body:
            if name not in {"items", "metadata"}:
                raise unsupported(name)
        check_fields(body, {"metadata": METADATA})
        items = _items(body["items"]) if "items" in body else None
        return ConversationBody(items, body.get("metadata"))

    return parsed(raw if raw.strip() or needs else b"{}", f"'{needs}'", build)


def _items(value: Any) -> tuple[Item, ...]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS_AT_ONCE:
        raise invalid("items", f"a list of at most {MOST_ITEMS_AT_ONCE} items")
    items = input_items(value)
    for place, item in enumerate(items):
        if item["type"] == "item_reference":
            raise unsupported(f"items[{place}]", "References are not added to conversations: send the item itself.")
    return items

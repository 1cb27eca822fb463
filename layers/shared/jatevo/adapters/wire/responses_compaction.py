"""
Compaction items: a history in few words, which stands for it in later requests.

To its client such an item is opaque, as published; in it is the summary that a model wrote, marked as ours, so that any
model can read it again. Items without the mark are another provider's: only an upstream that speaks the format can take
them.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from jatevo.domain.ids import item_id

KIND = "compaction"
_MARK = "jatevo1."
_INTRODUCTION = "What came before in this conversation was summed up as follows:\n\n"


def compaction_item(response_id: str, place: int, summary: str) -> dict[str, Any]:
    """Return the item that holds a summary."""
    content = _MARK + base64.b64encode(summary.encode("utf-8", "replace")).decode()
    return {"id": item_id("cmp", response_id, place), "type": KIND, "encrypted_content": content}


def as_message(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a model is shown of a compaction item of ours; None for any other item."""
    content = item.get("encrypted_content")
    if item.get("type") != KIND or not isinstance(content, str) or not content.startswith(_MARK):
        return None
    try:
        summary = base64.b64decode(content.removeprefix(_MARK), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return {"type": "message", "role": "user", "content": _INTRODUCTION + summary}

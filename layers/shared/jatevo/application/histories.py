"""
What a turn continues, looked up: earlier turns in front of it, references replaced by what they refer to.

Guarantees: only what belongs to the account is found; a record holds all turns before it, so continuing takes one read
and no chain is walked; a response is stored under an id made for it, once, so none can come before itself. A history
has bounds, and one beyond them is refused.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence

from jatevo.application.conversations import ConversationStore
from jatevo.application.keeping import ResponseKeeper
from jatevo.application.ports import Clock
from jatevo.application.responses import Item, Resolved, ResponseRecord, ResponseStore, Turn
from jatevo.domain.accounts import Account
from jatevo.domain.ids import response_id_of_item
from jatevo.domain.refusals import Code, Refusal, shown

MOST_ITEMS = 4096
MOST_BYTES = 6 * 1024 * 1024
"""Of all items together, as JSON: as large as a body may be."""
_MOST_LOOKED_UP = 32
"""Stored responses that the references of one request may lie in."""
_REFERENCE = "item_reference"
_CONVERSATIONS_ARE_STORED = "A conversation is stored: leave 'store' out, or send the items themselves as 'input'."


class Histories:
    """Resolves turns, and keeps what comes of them, for one gateway process."""

    def __init__(self, responses: ResponseStore, conversations: ConversationStore, clock: Clock) -> None:
        self.responses = responses
        self.conversations = conversations
        self._clock = clock

    def keeper(self, account: Account, turn: Turn, resolved: Resolved) -> ResponseKeeper | None:
        """Return what keeps the answer of a turn, None when its client wants nothing kept."""
        if not turn.store:
            return None
        return ResponseKeeper(self.responses, self.conversations, self._clock, account, turn.conversation_id, resolved)

    async def resolve(self, account_id: str, turn: Turn) -> Resolved | Refusal:
        """Return a turn with all that comes before it, or why it cannot be continued. Raises StoreError."""
        if turn.conversation_id is not None and not turn.store:
            return Refusal(Code.INVALID_VALUE, _CONVERSATIONS_ARE_STORED, param="store")
        prior = await self._prior(account_id, turn)
        if isinstance(prior, Refusal):
            return prior
        own = await self._dereferenced(account_id, prior, turn.items)
        if isinstance(own, Refusal):
            return own
        if prior or own != turn.items:
            too_much = await asyncio.to_thread(_too_much, (*prior, *own), _param(turn))
            if too_much is not None:
                return too_much
        return _twice(own) or Resolved(prior, own)

    async def _prior(self, account_id: str, turn: Turn) -> tuple[Item, ...] | Refusal:
        if turn.conversation_id is not None:
            items = await self.conversations.items(account_id, turn.conversation_id)
            return conversation_not_found(turn.conversation_id, "conversation") if items is None else items
        if turn.previous_response_id is None:
            return ()
        record = await self.responses.get(account_id, turn.previous_response_id)
        if record is None:
            detail = f"Previous response with id '{shown(turn.previous_response_id)}' not found."
            return Refusal(Code.PREVIOUS_RESPONSE_NOT_FOUND, detail, param="previous_response_id")
        return all_items(record)

    async def _dereferenced(
        self, account_id: str, prior: Sequence[Item], own: tuple[Item, ...]
    ) -> tuple[Item, ...] | Refusal:
        """Return a turn's items without references. One to an item that comes before anyway adds nothing."""
        known = {item["id"] for item in prior if "id" in item}
        wanted = {item["id"] for item in own if item["type"] == _REFERENCE} - known
        if not wanted:
            return tuple(item for item in own if item["type"] != _REFERENCE)
        found = await self._found(account_id, wanted)
        if isinstance(found, Refusal):
            return found
        kept = (item for item in own if item["type"] != _REFERENCE or item["id"] in wanted)
        return tuple(found[item["id"]] if item["type"] == _REFERENCE else item for item in kept)

    async def _found(self, account_id: str, wanted: Iterable[str]) -> dict[str, Item] | Refusal:
        """Return the items with these ids, the latest responses first: each of them holds what came before it."""
        found: dict[str, Item] = {}
        left = set(wanted)
        for _ in range(_MOST_LOOKED_UP):
            if not left:
                return found
            latest = max(left, key=lambda item_id: response_id_of_item(item_id) or "")
            response_id = response_id_of_item(latest)
            record = None if response_id is None else await self.responses.get(account_id, response_id)
            items = () if record is None else all_items(record)
            found |= {item["id"]: item for item in items if item.get("id") in left}
            if latest not in found:
                detail = (
                    f"Item with id '{shown(latest)}' not found. Items are kept for 30 days, and not at all when "
                    "'store' is false: send the item itself instead."
                )
                return Refusal(Code.NOT_FOUND, detail, param="input")
            left -= found.keys()
        detail = f"The references of one request may lie in at most {_MOST_LOOKED_UP} stored responses."
        return Refusal(Code.INVALID_VALUE, detail, param="input")


def all_items(record: ResponseRecord) -> tuple[Item, ...]:
    """Return all that a turn after this response builds upon."""
    return (*record.prior_items, *record.own_items, *record.response["output"])


def conversation_not_found(conversation_id: str, param: str | None = None) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"Conversation with id '{shown(conversation_id)}' not found.", param=param)


def _param(turn: Turn) -> str:
    if turn.conversation_id is not None:
        return "conversation"
    return "input" if turn.previous_response_id is None else "previous_response_id"


def _too_much(items: Sequence[Item], param: str) -> Refusal | None:
    size = len(json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if len(items) <= MOST_ITEMS and size <= MOST_BYTES:
        return None
    detail = (
        f"This history is too long to continue: {len(items)} items, {size} bytes; at most {MOST_ITEMS} items and "
        f"{MOST_BYTES} bytes are taken. Start anew with what matters of it as 'input'."
    )
    return Refusal(Code.CONTEXT_LENGTH_EXCEEDED, detail, param=param)


def _twice(items: Sequence[Item]) -> Refusal | None:
    seen: set[str] = set()
    for item in items:
        name = item.get("id")
        if name in seen:
            detail = f"Duplicate item found with id '{shown(str(name))}'. Remove duplicate items from your input."
            return Refusal(Code.INVALID_VALUE, detail, param="input")
        if isinstance(name, str):
            seen.add(name)
    return None

"""
Conversations: items that grow turn by turn under one id, for one account.

A conversation lives for thirty days after its last change, and each item for thirty days after it was added. Items
keep the order in which they were added; those of one request, the order in which they were sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jatevo.application.responses import Item, ResponseRecord

MOST_ITEMS = 2000
MOST_BYTES = 4 * 1024 * 1024
"""Of one conversation, as it is kept."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its items."""

    id: str
    account_id: str
    created_at_unix_s: int
    metadata: Mapping[str, str]


class ConversationStore(Protocol):
    """Where conversations are kept. Raises StoreError. Another account's conversation is as if it did not exist."""

    async def create(self, conversation: Conversation, items: Sequence[Item]) -> None:
        """Keep a conversation with its first items, whole or not at all. Raises TooLargeToKeep."""
        ...

    async def read(self, account_id: str, conversation_id: str) -> Conversation | None:
        """Return a conversation, None when there is none."""
        ...

    async def items(self, account_id: str, conversation_id: str) -> tuple[Item, ...] | None:
        """Return all items, oldest first; None when there is no such conversation."""
        ...

    async def add(
        self, account_id: str, conversation_id: str, items: Sequence[Item], record: ResponseRecord | None = None
    ) -> bool:
        """
        Add items at the end, and keep the response they belong to: both or neither.

        Return False when there is no such conversation. Raises TooLargeToKeep.
        """
        ...

    async def describe(self, account_id: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation | None:
        """Replace the metadata; None when there is no such conversation."""
        ...

    async def remove_item(self, account_id: str, conversation_id: str, item_id: str) -> bool:
        """Remove an item. Return False when there is no such conversation or item."""
        ...

    async def delete(self, account_id: str, conversation_id: str) -> bool:
        """Delete a conversation with its items. Return False when there was none."""
        ...

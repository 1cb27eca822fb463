"""
What a Responses request builds upon, and what is kept of its answer.

A **turn** is what one request adds to a conversation: items of its own, after those of the response or conversation it
continues. Guarantees: a record belongs to one account, and another's is as if it did not exist; what is kept is what
the client got, once it is settled; a request with `store: false` keeps nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jatevo.application.ports import StoreUnavailable

type Item = Mapping[str, Any]
"""One input or output item, as on the wire; checked, and always with its `type`."""

RECORDS_KEPT_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Turn:
    """What one request adds, and what it continues."""

    items: tuple[Item, ...]
    """The request's own input; may hold items of the type `item_reference`."""
    previous_response_id: str | None = None
    conversation_id: str | None = None
    store: bool = True


@dataclass(frozen=True, slots=True)
class Resolved:
    """A turn whose references are resolved: no item of either part is an `item_reference`."""

    prior: tuple[Item, ...]
    """All items of earlier turns, their output included, oldest first."""
    own: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class ResponseRecord:
    """A stored response."""

    id: str
    account_id: str
    created_at_unix_s: int
    model: str
    response: Mapping[str, Any]
    """The whole response object, as the client got it."""
    own_items: tuple[Item, ...]
    """The input of its request."""
    prior_items: tuple[Item, ...]
    """What came before that: with `own_items` and the response's output, all that a next turn builds upon."""
    expires_at_unix_s: int
    conversation_id: str | None = None


class TooLargeToKeep(StoreUnavailable):
    """A record is larger than there is room for: nothing was written."""


class ResponseStore(Protocol):
    """Where responses are kept. Raises StoreError."""

    async def put(self, record: ResponseRecord) -> None:
        """Keep a record, whole or not at all. Raises TooLargeToKeep."""
        ...

    async def get(self, account_id: str, response_id: str) -> ResponseRecord | None:
        """Return an account's record; None when there is none, it has expired, or it is another account's."""
        ...

    async def delete(self, account_id: str, response_id: str) -> bool:
        """Forget an account's record. Return False when there was none."""
        ...

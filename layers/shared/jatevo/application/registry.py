"""
The port to what operators administer: accounts, keys, the catalogue and the operators themselves.

Every write is conditional on what it was decided from: an account's changes on its version, a key's on its caps
version, a catalogue on the version before it. `Conflict` (see `ports`) means that somebody else was first and that
nothing was written: read again, decide again. Reads here are strongly consistent except for lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jatevo.application.ports import StoreError
from jatevo.domain.accounts import Account, ApiKey


class AlreadyThere(StoreError):
    """Something with this id or name exists already: it was not overwritten."""


class TooManyKeys(StoreError):
    """The account has as many enabled keys as it may have."""


@dataclass(frozen=True, slots=True)
class Page[T]:
    """Some entries of a list; `next` continues it, None at its end."""

    entries: Sequence[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogueRecord:
    """One version of the catalogue as it was applied. Versions are never changed or removed."""

    version: int
    document: Mapping[str, Any]
    applied_at_unix_s: int
    applied_by: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may administer. `digest` is the SHA-256 of the token, which nobody but its owner has."""

    name: str
    digest: str = field(repr=False)
    enabled: bool = True
    created_at_unix_s: int = 0


class Registry(Protocol):
    """Accounts, keys, catalogue versions and operators."""

    async def create_account(self, account: Account) -> None:
        """Store a new account. Raises AlreadyThere."""
        ...

    async def account(self, account_id: str) -> Account | None: ...

    async def accounts(self, *, after: str | None = None, limit: int = 100) -> Page[Account]:
        """Return accounts in no particular order."""
        ...

    async def change_account(self, account: Account) -> None:
        """
        Store an account's name, limits, lanes, where they come from, their day, margin and whether it is enabled.

        `account.version` is the new version: Conflict unless the stored one is the version before it.
        """
        ...

    async def create_key(self, key: ApiKey) -> None:
        """Store a new key of an account. Raises AlreadyThere, TooManyKeys, Conflict when there is no such account."""
        ...

    async def key(self, key_id: str) -> ApiKey | None:
        """Return a key by its id. One created within the last moments may not be found yet."""
        ...

    async def keys(self, account_id: str) -> Sequence[ApiKey]:
        """Return the keys of an account by id, disabled ones included."""
        ...

    async def change_key(self, key: ApiKey) -> None:
        """
        Store a key's name, models, lanes, IP ranges, caps and expiry.

        `key.caps_version` is the new version: Conflict unless the stored one is the version before it.
        """
        ...

    async def disable_key(self, key: ApiKey, account: Account) -> None:
        """
        Store both in one transaction: the key as disabled, and its account, whose `revoked` names it.

        `account.version` is the new version: Conflict unless the stored one is the version before it, or when the key
        is disabled already.
        """
        ...

    async def delete_key(self, key: ApiKey) -> None:
        """Remove a key that is disabled. Raises Conflict unless it is there, and disabled."""
        ...

    async def latest_catalogue(self) -> CatalogueRecord | None: ...

    async def catalogue(self, version: int) -> CatalogueRecord | None: ...

    async def add_catalogue(self, record: CatalogueRecord) -> None:
        """Store a new version. Raises Conflict when that version exists."""
        ...

    async def create_operator(self, operator: Operator) -> None:
        """Store a new operator. Raises AlreadyThere."""
        ...

    async def operators(self) -> Sequence[Operator]:
        """Return all operators by name."""
        ...

    async def change_operator(self, operator: Operator, *, previous: Operator) -> None:
        """Store an operator's digest and whether it is enabled. Raises Conflict unless `previous` is stored."""
        ...

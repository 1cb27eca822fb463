"""
The playground: visitors without a key, on an account of their own, through the same gate as everybody.

A visitor is a source address, for each UTC day as a hash that is salted anew; who has an IPv6 network counts as
one. Each has a tiny quota in a window of its own; the account's day window is the cap of all of them together. The
account comes into being with the first visitor, with the limits that are configured then; after that they are an
operator's to change, as any account's.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from jatevo.application.ports import Clock, Directory, Randomness, StoreUnavailable
from jatevo.domain.accounts import Account, ApiKey, Caller, Visitor
from jatevo.domain.ip_ranges import source_network
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.windows import Limits

ACCOUNT_ID = "acct_playground"
KEY_ID = "key_playground"
"""What stands for a key in the books of who sends none: the playground's account, or the owner of a session."""
KEY_NAME = "playground"
_SALT_BYTES = 16

_CLOSED = Refusal(Code.NOT_FOUND, "There is no playground here. Use an API key.")
_DISABLED = Refusal(Code.KEY_DISABLED, "The playground is closed at this moment. Use an API key.")


@dataclass(frozen=True, slots=True)
class PlaygroundPolicy:
    """What all visitors may use in a day, and each of them. `models` None: every model that everybody may use."""

    limits: Limits
    visitor: Limits
    models: frozenset[str] | None = None


def of_session(account: Account) -> Caller:
    """Return the caller that a signed-in owner is: with all that the account may use, and no caps of a key."""
    return Caller(ApiKey(KEY_ID, "", account.id, KEY_NAME, ""), account)


class OpenAccount(Protocol):
    """Stores an account unless one of its id is there."""

    def __call__(self, account: Account) -> Awaitable[None]: ...


class Playground:
    """Lets visitors in. `policy` None: there is no playground."""

    def __init__(
        self,
        directory: Directory,
        open_account: OpenAccount,
        clock: Clock,
        randomness: Randomness,
        policy: PlaygroundPolicy | None,
    ) -> None:
        self._directory = directory
        self._open_account = open_account
        self._clock = clock
        self._randomness = randomness
        self._policy = policy

    async def visitor(self, source_ip: str | None) -> Caller | Refusal:
        """Return the caller that somebody without a key is. Raises StoreError."""
        policy = self._policy
        if policy is None:
            return _CLOSED
        account = await self._account(policy)
        if not account.enabled:
            return _DISABLED
        key = ApiKey(KEY_ID, "", account.id, KEY_NAME, "", models=policy.models, lanes=frozenset())
        return Caller(key, account, Visitor(source_network(source_ip), account.visitor_salt, policy.visitor))

    async def _account(self, policy: PlaygroundPolicy) -> Account:
        account = await self._directory.account(ACCOUNT_ID)
        if account is not None:
            return account
        fresh = Account(
            ACCOUNT_ID,
            "Playground",
            policy.limits,
            created_at_unix_s=self._clock.now_ms() // 1000,
            visitor_salt=self._randomness.secret(_SALT_BYTES).hex(),
        )
        await self._open_account(fresh)
        account = await self._directory.account(ACCOUNT_ID, fresh=True)
        if account is None:
            raise StoreUnavailable("the playground's account is not there")
        return account

"""
The ports of who somebody is: wallets, what they sign, the sessions it opens, and how often it may be tried.

Each write is one conditional request; what it depends on is in its text. Errors are those of `ports`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from jatevo.domain.accounts import Account
from jatevo.domain.sessions import Session
from jatevo.domain.sign_in import Challenge
from jatevo.domain.wallets import Wallet


class Unsigned(Enum):
    """Why a challenge takes no signature."""

    UNKNOWN = auto()
    EXPIRED = auto()
    USED = auto()
    SPENT = auto()
    """Too many signatures were tried."""


@dataclass(frozen=True, slots=True)
class LinkedWallet:
    """A wallet as it is stored. `account_id` None: it was unlinked, and what it counted for today is still known."""

    wallet: Wallet
    account_id: str | None
    linked_at_unix_s: int = 0
    claimed_day: str | None = None
    claimed_by: str | None = None


class Challenges(Protocol):
    """Challenges, until they are used or expire."""

    async def add_challenge(self, challenge: Challenge) -> None:
        """Store a challenge under its nonce."""
        ...

    async def attempt(self, nonce: str, now_unix_s: int) -> Challenge | Unsigned:
        """Count an attempt and return the challenge, or why there can be none. One write."""
        ...

    async def consume(self, nonce: str, now_unix_s: int) -> bool:
        """Use a challenge up. Exactly one caller is ever told True."""
        ...


class SessionStore(Protocol):
    """Sessions."""

    async def open(self, session: Session) -> bool:
        """Store a session, only while its wallet is linked to its account; else return False."""
        ...

    async def session(self, account_id: str, digest: str) -> Session | None:
        """Return a session that is stored, expired or not (strongly consistent)."""
        ...

    async def of_account(self, account_id: str) -> Sequence[Session]:
        """Return the sessions of an account (strongly consistent)."""
        ...

    async def end(self, account_id: str, digest: str) -> None:
        """Forget a session. Harmless to repeat."""
        ...


class Counts(Protocol):
    """Counters that bound how often something is done in a while."""

    async def count(self, name: str, period: str, most: int, forget_at_unix_s: int) -> bool:
        """Count one more unless there are `most`: then return False. Forgotten after the given time."""
        ...


class WalletStore(Protocol):
    """Which wallet belongs to which account: at any moment to one at most."""

    async def wallet(self, wallet: Wallet) -> LinkedWallet | None:
        """Return what is stored of a wallet (strongly consistent)."""
        ...

    async def of_account(self, account_id: str) -> Sequence[LinkedWallet]:
        """Return an account's wallets. One linked within the last moments may be missing."""
        ...

    async def create_account(self, account: Account, wallet: Wallet) -> bool:
        """Store a new account with its first wallet, both or neither. Return False when the wallet is linked."""
        ...

    async def link(self, wallet: Wallet, account_id: str, now_unix_s: int) -> bool:
        """Link a wallet. Return False when it is linked already."""
        ...

    async def unlink(self, wallet: Wallet, account_id: str, *, staying: Wallet) -> bool:
        """Unlink a wallet, keeping its claim of the day, only while `staying` is linked to the account too."""
        ...


class Signatures(Protocol):
    """Signatures of wallets."""

    async def shown(self, wallet: Wallet) -> str:
        """Return the address as its chain writes it."""
        ...

    async def signed(self, wallet: Wallet, message: str, signature: str) -> bool:
        """Return whether the wallet's own key signed exactly `message`. Asks nobody."""
        ...

    async def vouched(self, wallet: Wallet, message: str, signature: str) -> bool:
        """Return whether the wallet is a contract that vouches for it. Asks its chain. Raises ChainUnavailable."""
        ...


class HoldingsReader(Protocol):
    """Whoever counts what wallets hold."""

    async def linked(self, account_id: str, wallet: Wallet) -> None:
        """Read the balance of a wallet that was just linked, and renew its account's entitlement."""
        ...

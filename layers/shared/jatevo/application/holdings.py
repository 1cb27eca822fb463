"""
What counting holdings needs from the outside: chains that are read, and where snapshots, claims and prices are kept.

Stores raise as in `ports`. A chain raises `ChainUnavailable` when none of its nodes gave an answer that can be used.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jatevo.domain.accounts import Account
from jatevo.domain.holdings import Moment, Reading, Snapshot, Token, TokenSnapshot
from jatevo.domain.wallets import Namespace, Wallet


class ChainUnavailable(Exception):
    """
    No node gave a usable answer. The text says why each did not, and names none by its address: that may be secret.
    """


class BalanceReader(Protocol):
    """Balances of one token, on one chain."""

    @property
    def token(self) -> Token: ...

    @property
    def reads_everybody(self) -> bool:
        """Whether a snapshot is one reading of all holders; otherwise it is of named wallets at a chosen block."""
        ...

    async def everybody(self) -> Reading:
        """Return all holders at one slot, none missing and none made up. Only where `reads_everybody`."""
        ...

    async def moment(self) -> Moment:
        """Return the latest block that will stay."""
        ...

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        """Return what wallets hold now."""
        ...

    async def at(self, wallets: Sequence[Wallet], moment: Moment) -> Reading:
        """Return what wallets held at a block. Only where not `reads_everybody`."""
        ...


class HoldingsStore(Protocol):
    """Snapshots. What is put here is never changed: the first writer has decided, and later ones are told."""

    async def plan(self, day: str, moment_unix_s: int) -> int:
        """Fix when the snapshot of a day is taken, unless that is fixed. Return what stands."""
        ...

    async def begin(self, snapshot_id: str, token: Token, moment: Moment, parts: int) -> tuple[Moment, int]:
        """Fix the block that a snapshot reads, and its number of parts, unless that is done. Return what stands."""
        ...

    async def put_part(self, snapshot_id: str, attempt: str, part: int, units: Mapping[Wallet, int]) -> None:
        """Store one part, unless it is stored."""
        ...

    async def parts_done(self, snapshot_id: str, attempt: str) -> frozenset[int]:
        """Return the parts that are stored."""
        ...

    async def read_tokens(self, snapshot_id: str) -> Mapping[Namespace, TokenSnapshot]:
        """Return the tokens of a snapshot that have been read whole."""
        ...

    async def add_token(self, snapshot_id: str, read: TokenSnapshot) -> TokenSnapshot:
        """Store that a token has been read whole, unless another run was first. Return what stands."""
        ...

    async def complete(self, snapshot: Snapshot) -> Snapshot:
        """Make a snapshot count, unless it does. Return what stands."""
        ...

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a snapshot that is complete."""
        ...

    async def latest(self) -> Snapshot | None:
        """Return the latest complete snapshot."""
        ...

    async def pinned(self, day: str) -> Snapshot | None:
        """Return the snapshot that a day counts by."""
        ...

    async def pin(self, day: str, snapshot: Snapshot) -> Snapshot:
        """Let a day count by a snapshot, unless it counts by one already. Return what stands."""
        ...

    async def units(self, snapshot: Snapshot, wallet: Wallet) -> int | None:
        """Return what a wallet held in a snapshot; None when that is not known yet."""
        ...

    async def add_late(self, snapshot: Snapshot, wallet: Wallet, units: int) -> None:
        """Add what a wallet that was not linked then held at the snapshot's block, unless that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A wallet as far as counting it goes. `seen_at_unix_s` 0: its balance was never seen."""

    wallet: Wallet
    account_id: str | None
    claimed_day: str = ""
    claimed_by: str = ""
    seen_units: int = 0
    seen_at_unix_s: int = 0

    def belongs_to(self, account_id: str, day: str) -> bool:
        """Return whether it is linked to an account and counts for it on a day."""
        return (self.account_id, self.claimed_by, self.claimed_day) == (account_id, account_id, day)


class Claims(Protocol):
    """For whom wallets count, and what was lately seen in them."""

    async def of_account(self, account_id: str) -> Sequence[Wallet]:
        """Return the wallets of an account, possibly a moment old."""
        ...

    async def claim(self, wallet: Wallet, account_id: str, day: str) -> Claim | None:
        """
        Count a wallet for an account on a day, if it is linked to it and counts for no other, and return it as it
        then stands: `belongs_to` says whether it does. None: there is no such wallet.
        """
        ...

    async def saw(self, wallet: Wallet, units: int, at_unix_s: int) -> None:
        """Remember a balance, unless a later one is known."""
        ...

    def linked(self, namespace: Namespace) -> AsyncIterator[Wallet]:
        """Yield every wallet of a namespace that is linked to an account."""
        ...


class EntitledAccounts(Protocol):
    """Accounts whose limits come from holdings."""

    async def account(self, account_id: str) -> Account | None:
        """Return an account, strongly consistent."""
        ...

    async def entitle(self, account: Account) -> bool:
        """
        Store limits and the day they are for. `account.version` is the new version: False unless the stored one is
        the version before it.
        """
        ...

    def entitled_on(self, day: str) -> AsyncIterator[str]:
        """Yield the accounts that got limits for a day: those that were used on it, or looked at."""
        ...


type Readers = Mapping[Namespace, BalanceReader]


def in_batches[T](entries: Iterable[T], size: int) -> list[list[T]]:
    """Return entries in lists of at most `size`."""
    everything = list(entries)
    return [everything[start : start + size] for start in range(0, len(everything), size)]

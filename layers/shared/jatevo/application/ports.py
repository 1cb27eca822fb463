"""
What the use cases need from the outside, as Protocols.

Errors: an adapter raises `StoreUnavailable` when the engine cannot be reached or throttles, and `OutcomeUnknown` when
a write may or may not have happened. Nothing else crosses a port.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from jatevo.domain.accounts import Account, ApiKey
from jatevo.domain.catalogue import Catalogue, Pool
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.rollups import Rollup
from jatevo.domain.windows import Hold, Limits, Refused, Window, WindowKey


class StoreError(Exception):
    """
    The store failed. Its subclasses say what is known:

    StoreError
    ├── StoreUnavailable   nothing was written
    ├── OutcomeUnknown     it may have been written
    └── Conflict           somebody else changed what was read
    """


class StoreUnavailable(StoreError):
    """The store did not take the request: nothing was written."""


class OutcomeUnknown(StoreError):
    """No answer came: the write may have happened, or may still happen."""


class Conflict(StoreError):
    """What the write depended on has changed since it was read."""


class Clock(Protocol):
    """The wall clock, injected so that tests own time."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch."""
        ...


class Randomness(Protocol):
    """The source of ids and secrets."""

    def bits(self, count: int) -> int:
        """Return `count` random bits."""
        ...

    def secret(self, count: int) -> bytes:
        """Return `count` bytes fit for a secret."""
        ...


class WindowStore(Protocol):
    """Windows: each method is one transition of `jatevo.domain.windows`, atomic, as one request to the store."""

    async def reserve(self, key: WindowKey, reservation_id: str, hold: Hold) -> Window | Refused | None:
        """
        Take `hold` and return the window after it; or the bound that refused; or None when there is no such window.

        Never repeated by the adapter. Raises OutcomeUnknown when the answer was lost, StoreUnavailable when it was
        certainly not applied.
        """
        ...

    async def settle(
        self,
        key: WindowKey,
        reservation_id: str,
        hold: Hold,
        *,
        charge_nano_usd: int,
        give_request_back: bool,
        exposed_nano_usd: int,
    ) -> bool:
        """End a reservation. Return False when it was not open: already applied. Harmless to repeat."""
        ...

    async def open(self, window: Window, account_version: int | None, *, key_digest: str | None = None) -> None:
        """
        Put a fresh window unless one is there, only while its account still has `account_version` (None: it is a
        lane's, and of no account).

        A key's window names its key by `key_digest`: only while its caps still have the version of the window.
        Raises Conflict when the account or key has changed; a window already there is no error.
        """
        ...

    async def read(self, key: WindowKey) -> Window | None:
        """Return the window as it is now (strongly consistent)."""
        ...

    async def adjust(self, window: Window, limits: Limits, version: int, *, stopped: bool = False) -> bool:
        """
        Move `window`, as read, to new limits, and stop or admit all keys with the same write.

        Return False when its limits version has changed meanwhile.
        """
        ...

    async def block(self, key: WindowKey, key_ref: str) -> bool:
        """Stop a key in a window at once. Return False when there is no such window."""
        ...

    async def unblock(self, key: WindowKey, key_refs: frozenset[str]) -> None:
        """Forget blocks of a window that are no longer needed."""
        ...

    async def due(self, before_unix_s: int, limit: int) -> Sequence[WindowKey]:
        """Return windows that may hold a reservation expired before the given time."""
        ...

    def all_open(self) -> AsyncIterator[WindowKey]:
        """Yield every window with open reservations, by a scan: for repair, not for routine."""
        ...

    async def schedule_sweep(self, window: Window, at_unix_s: int | None) -> None:
        """
        Set when the sweeper next looks at `window`; None: not until something is reserved again.

        None takes effect only while nothing is open, any time only while the window's is still the one read.
        """
        ...


class Ledger(Protocol):
    """Decisions, written once."""

    async def decide(self, entry: LedgerEntry) -> LedgerEntry:
        """Store `entry` unless its reservation is decided already, and return the decision that stands."""
        ...

    async def entries(
        self,
        account_id: str,
        day: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> Sequence[LedgerEntry]:
        """Return entries of a day by reservation id, strictly between `after` and `before`; `newest`: backwards."""
        ...


class Rollups(Protocol):
    """Usage folded from the ledger."""

    async def read(self, account_id: str, period: str) -> Rollup | None:
        """Return the rollup of a day, or of everything before (`total`)."""
        ...

    async def days(self, account_id: str, *, since: str) -> Sequence[Rollup]:
        """Return the rollups that are stored of the day `since` and later ones, oldest first."""
        ...

    async def advance(self, rollup: Rollup, *, previous: Rollup | None) -> bool:
        """
        Replace `previous` (None: nothing is stored) by `rollup`, whose `folded_to` or `complete` differs.

        Return False when somebody else has advanced it meanwhile.
        """
        ...


class Directory(Protocol):
    """What the hot path reads: keys, accounts, the catalogue. May be up to a few seconds old."""

    async def key(self, digest: str, *, fresh: bool = False) -> ApiKey | None:
        """Return the key stored under this SHA-256; `fresh` as for `account`."""
        ...

    async def account(self, account_id: str, *, fresh: bool = False) -> Account | None:
        """Return an account; `fresh` reads past any cache, strongly consistent."""
        ...

    async def catalogue(self) -> Catalogue:
        """Return the catalogue in force."""
        ...

    async def raise_estimate(self, account_id: str, permille: int, now_unix_s: int) -> None:
        """Remember that an account's inputs needed more tokens than projected."""
        ...


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One request to an upstream. `body` is what is sent, as JSON."""

    pool: Pool
    path: str
    body: Mapping[str, Any]
    deadline_unix_ms: int
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """The beginning of an upstream's answer: its status, and its body as it comes."""

    status: int
    content_type: str
    retry_after_s: int | None
    body: AsyncIterator[bytes]


class UpstreamError(Exception):
    """
    An upstream did not answer. The subclasses say what it may have cost:

    UpstreamError
    ├── UpstreamUnreachable   nothing was sent: certainly not billed
    ├── UpstreamTimeout       sent, no answer in time: possibly billed
    └── UpstreamBroken        sent, the connection broke: possibly billed
    """


class UpstreamUnreachable(UpstreamError):
    """No connection: nothing was sent."""


class UpstreamTimeout(UpstreamError):
    """The body was sent and no answer came in time."""


class UpstreamBroken(UpstreamError):
    """The body was sent and the connection broke, or what came is no HTTP."""


class Upstream(Protocol):
    """HTTP to model servers."""

    def open(self, call: UpstreamCall) -> AbstractAsyncContextManager[UpstreamAnswer]:
        """Send a call; the context ends the connection. Raises UpstreamError on entry and while the body is read."""
        ...

    async def count_tokens(self, call: UpstreamCall) -> int | None:
        """Return the exact number of input tokens of a chat body, or None when this pool cannot tell."""
        ...

"""
Snapshots: one reading of every configured token a day, taken at a moment nobody knows beforehand.

The moment is drawn once, in the quarter hour before midnight UTC, and stored; whoever runs at it or later takes the
snapshot. It is complete or not used. Runs that race or follow a crash work on the same snapshot: each token counts by
the run that read it whole first, an EVM chain by the block that was chosen first, and parts that are stored are not
read again. So a snapshot that is complete is the same for everybody, and never changes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jatevo.application.holdings import BalanceReader, ChainUnavailable, Claims, HoldingsStore, Readers
from jatevo.application.ports import Clock, Randomness
from jatevo.domain.calendar import DAY_S, day_start_unix_s, iso_instant, utc_day
from jatevo.domain.holdings import WIDEST_SNAPSHOT_S, Snapshot, TokenSnapshot, part_of, spread_s
from jatevo.domain.wallets import Wallet

_log = logging.getLogger(__name__)

QUARTER_S = 900
LAST_MOMENT_S = 180
"""Before midnight no later than this, so that there is time for another try."""
_MOST_IN_PART = 1500
"""Wallets in one item: below 300 KB even where every balance has all the digits there are."""


class SnapshotFailed(Exception):
    """A snapshot did not come about; the text says why. Running it again goes on from what was read."""


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What a run did. No id: no token is configured. `waiting`: the moment has not come. `holders` by token."""

    snapshot_id: str | None
    waiting: bool = False
    holders: Mapping[str, int] | None = None


class Snapshots:
    """Takes snapshots of the tokens that `readers` read."""

    def __init__(
        self, readers: Readers, store: HoldingsStore, claims: Claims, clock: Clock, randomness: Randomness
    ) -> None:
        self._readers = readers
        self._store = store
        self._claims = claims
        self._clock = clock
        self._randomness = randomness

    async def run(self) -> SnapshotReport:
        """
        Take the snapshot of the nearest midnight when its moment has come, unless it is complete: so a run after
        midnight makes up for what failed before. Raises SnapshotFailed, StoreError.
        """
        if not self._readers:
            return SnapshotReport(None)
        now = self._clock.now_ms() // 1000
        planned = await self._planned(now)
        name = iso_instant(planned)
        if now < planned:
            return SnapshotReport(name, waiting=True)
        return _report(await self._take(name))

    async def take_now(self) -> SnapshotReport:
        """Take one more snapshot, at once. Days that count by one already are not affected."""
        return _report(await self._take(iso_instant(self._clock.now_ms() // 1000)))

    async def _planned(self, now: int) -> int:
        """Return the moment of the snapshot that belongs to the midnight nearest to now, drawing it when none is."""
        midnight = (now + DAY_S // 2) // DAY_S * DAY_S
        day = utc_day(midnight - 1)
        drawn = midnight - QUARTER_S + self._randomness.bits(64) % (QUARTER_S - LAST_MOMENT_S)
        assert day_start_unix_s(day) == midnight - DAY_S, "the day that ends at that midnight"
        return await self._store.plan(day, drawn)

    async def _take(self, name: str) -> Snapshot:
        stands = await self._store.snapshot(name)
        if stands is not None:
            return stands
        if not self._readers:
            raise SnapshotFailed("no token is configured, or no node of its chain")
        tokens = dict(await self._store.read_tokens(name))
        for namespace, reader in self._readers.items():
            if namespace not in tokens:
                tokens[namespace] = await self._store.add_token(name, await self._read(name, reader))
        if spread_s(tokens) > WIDEST_SNAPSHOT_S:
            raise SnapshotFailed(f"the readings of {name} lie {spread_s(tokens)} s apart: it is not used")
        snapshot = Snapshot(name, self._clock.now_ms() // 1000, tokens)
        return await self._store.complete(snapshot)

    async def _read(self, name: str, reader: BalanceReader) -> TokenSnapshot:
        try:
            if reader.reads_everybody:
                return await self._everybody(name, reader)
            return await self._linked(name, reader)
        except ChainUnavailable as error:
            raise SnapshotFailed(f"{reader.token} cannot be read: {error}") from error

    async def _everybody(self, name: str, reader: BalanceReader) -> TokenSnapshot:
        """Store one reading of all holders, under a name of this run's own: parts of two readings never mix."""
        reading = await reader.everybody()
        attempt, parts = f"{self._randomness.bits(64):016x}", _parts(len(reading.units))
        for part, mine in enumerate(_dealt(list(reading.units), parts, attempt)):
            await self._store.put_part(name, attempt, part, {wallet: reading.units[wallet] for wallet in mine})
        return TokenSnapshot(
            token=reader.token,
            moment=reading.moment,
            decimals=reading.decimals,
            everybody=True,
            attempt=attempt,
            parts=parts,
            holders=len(reading.units),
        )

    async def _linked(self, name: str, reader: BalanceReader) -> TokenSnapshot:
        """Store what linked wallets hold at one block. Every run that reads a part of it reads the same."""
        wallets = [wallet async for wallet in self._claims.linked(reader.token.namespace)]
        moment, parts = await self._store.begin(name, reader.token, await reader.moment(), _parts(len(wallets)))
        attempt = f"block-{moment.height}-{moment.block_hash}"
        done = await self._store.parts_done(name, attempt)
        decimals = (await reader.at([], moment)).decimals
        for part, mine in enumerate(_dealt(wallets, parts, attempt)):
            if part not in done:
                await self._store.put_part(name, attempt, part, (await reader.at(mine, moment)).units)
        return TokenSnapshot(
            token=reader.token,
            moment=moment,
            decimals=decimals,
            everybody=False,
            attempt=attempt,
            parts=parts,
            holders=len(wallets),
        )


def _parts(holders: int) -> int:
    return max(1, -(-holders // _MOST_IN_PART))


def _dealt(wallets: Sequence[Wallet], parts: int, attempt: str) -> list[list[Wallet]]:
    """Return which wallets are kept in which part."""
    dealt: list[list[Wallet]] = [[] for _ in range(parts)]
    for wallet in wallets:
        dealt[part_of(wallet, parts, attempt)].append(wallet)
    return dealt


def _report(snapshot: Snapshot) -> SnapshotReport:
    return SnapshotReport(snapshot.id, holders={str(read.token): read.holders for read in snapshot.tokens.values()})

"""
Usage sums on a real engine: rollup and tail together are the ledger, whenever and by whomever they are folded.

`Books` reserves, decides, applies and sweeps through the product's own adapters, so that entries appear exactly when
they can: late, out of order, twice, or by the sweeper long after everything else.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.tables import plain_client, put_account

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.adapters.dynamodb.rollups import DynamoRollups
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application import usage as usage_module
from jatevo.application.ports import Rollups, StoreUnavailable
from jatevo.application.sweeper import Sweeper
from jatevo.application.usage import CLOCK_SKEW_S, UsageReports
from jatevo.domain import ids
from jatevo.domain.accounts import Account, account_window, key_window
from jatevo.domain.calendar import DAY_S, days_between, utc_day
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason
from jatevo.domain.rollups import MOST_KEY_ROWS, MOST_ROWS, OTHER, TOTAL, Rollup, Tally, Usage, folded, merged, summed
from jatevo.domain.tokens import TokenUsage
from jatevo.domain.windows import Hold, Limits, Window, WindowKey, opened
from jatevo_local.engine import REGION

LONGEST_S = 630
SETTLED_S = LONGEST_S + CLOCK_SKEW_S
BEGAN_MS = 1_795_003_200_000
KEYS = ("key_aaaaaaaaaa", "key_bbbbbbbbbb")
MODELS = ("small", "large")


@dataclass
class Held:
    """A reservation that may still be open, and the entry that its handler would write."""

    entry: LedgerEntry
    hold: Hold


@dataclass
class Books:
    """One account's windows and ledger, and a clock."""

    client: DynamoClient
    names: TableNames
    account: Account
    clock: ManualClock
    random: random.Random
    held: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.windows = DynamoWindows(self.client, self.names)
        self.ledger = DynamoLedger(self.client, self.names)
        self.rollups = DynamoRollups(self.client, self.names)
        self.sweeper = Sweeper(self.windows, self.ledger, self.clock, exposure_cap_bps=10_000)

    def reports(self, rollups: Rollups | None = None) -> UsageReports:
        return UsageReports(rollups or self.rollups, self.ledger, self.windows, self.clock, longest_s=LONGEST_S)

    @property
    def today(self) -> str:
        return utc_day(self.clock.at_ms // 1000)

    async def reserve(self, *, only_by_key: bool = False) -> Held:
        """Hold in the account's window and, half the time, in the key's; or only there, where a crash left it."""
        reservation_id = ids.reservation_id(self.clock.at_ms, self.random.getrandbits(64))
        hold = Hold(1000, self.clock.at_ms // 1000 + LONGEST_S, self.random.choice(KEYS).removeprefix("key_"))
        windows = [account_window(self.account.id, self.today)]
        if only_by_key or self.random.random() < 0.5:
            windows.insert(0, key_window(self.account.id, f"key_{hold.key_ref}", self.today))
        for key in windows[:1] if only_by_key else windows:
            if await self.windows.reserve(key, reservation_id, hold) is None:
                await self.windows.open(opened(key, Limits(), 1), 1)
                assert isinstance(await self.windows.reserve(key, reservation_id, hold), Window)
        held = Held(self._entry(reservation_id, hold, windows), hold)
        if not only_by_key:
            self.held.append(held)
        return held

    async def decide(self, held: Held, *, apply: bool = True) -> None:
        """Write the entry of a reservation and, unless the handler dies in between, end its holds."""
        stored = await self.ledger.decide(held.entry)
        if apply:
            self.held.remove(held)
            for key in stored.windows:
                await self.windows.settle(
                    key,
                    stored.reservation_id,
                    held.hold,
                    charge_nano_usd=stored.figures.charge_nano_usd,
                    give_request_back=stored.gives_request_back,
                    exposed_nano_usd=0,
                )

    async def use(self, count: int = 1) -> None:
        for _ in range(count):
            await self.decide(await self.reserve())

    async def sums(self) -> dict[Usage, Tally]:
        """Return the sum over the whole ledger, counted afresh."""
        entries: list[LedgerEntry] = []
        for day in days_between(utc_day(BEGAN_MS // 1000), self.today):
            entries += await self.ledger.entries(self.account.id, day, limit=10**6)
        return folded({}, entries)

    def _entry(self, reservation_id: str, hold: Hold, windows: Sequence[WindowKey]) -> LedgerEntry:
        charge = self.random.randrange(1000)
        released = self.random.random() < 0.2
        return LedgerEntry(
            account_id=self.account.id,
            day=self.today,
            reservation_id=reservation_id,
            outcome=Outcome.RELEASED if released else Outcome.CHARGED,
            reason=Reason.UPSTREAM_REFUSED if released else Reason.ANSWERED,
            reserved_nano_usd=hold.amount_nano_usd,
            windows=tuple(windows),
            key_id=f"key_{hold.key_ref}",
            model=self.random.choice(MODELS),
            usage=TokenUsage() if released else TokenUsage(self.random.randrange(1, 99), self.random.randrange(99)),
            figures=Figures() if released else Figures(charge - 10, 10, charge, 1, 2),
        )


@dataclass
class Meddled:
    """Rollups whose writes a test may hold up or lose; reads pass."""

    real: DynamoRollups
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None

    async def read(self, account_id: str, period: str) -> Rollup | None:
        return await self.real.read(account_id, period)

    async def days(self, account_id: str, *, since: str) -> Sequence[Rollup]:
        return await self.real.days(account_id, since=since)

    async def advance(self, rollup: Rollup, *, previous: Rollup | None) -> bool:
        if self.before is not None:
            await self.before()
        advanced = await self.real.advance(rollup, previous=previous)
        if self.after is not None:
            await self.after()
        return advanced


class Died(BaseException):
    """The process that folded is gone."""


async def die() -> None:
    raise Died


async def fail() -> None:
    raise StoreUnavailable("the store is down")


@pytest.fixture
async def books(dynoxide: str, tables: TableNames, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Books]:
    """Books of a new account; folding is worth a write for a single entry, and pages are short."""
    monkeypatch.setattr(usage_module, "_PAGE", 4)
    monkeypatch.setattr(usage_module, "_WORTH_A_WRITE", 1)
    account = Account("acct_a", "a", Limits(), created_at_unix_s=BEGAN_MS // 1000)
    plain = plain_client(dynoxide)
    put_account(plain, tables, account)
    plain.close()
    client = DynamoClient(ClientOptions(REGION, dynoxide))
    yield Books(client, tables, account, ManualClock(BEGAN_MS), random.Random(1))
    client.close()


@pytest.mark.parametrize("seed", range(5))
async def test_rollup_and_tail_are_the_ledger_whatever_happens_in_between(books: Books, seed: int) -> None:
    books.random = chance = random.Random(seed)
    reports = [books.reports(), books.reports()]

    async def settle_one(*, apply: bool) -> None:
        if books.held:
            await books.decide(chance.choice(books.held), apply=apply)

    async def fold_and_die() -> None:
        meddled = Meddled(books.rollups, **{chance.choice(["before", "after"]): die})
        with suppress(Died):
            await books.reports(meddled).total(books.account)

    steps: list[tuple[int, Callable[[], Awaitable[object]]]] = [
        (8, books.reserve),
        (1, lambda: books.reserve(only_by_key=True)),
        (6, lambda: settle_one(apply=True)),
        (2, lambda: settle_one(apply=False)),
        (1, books.sweeper.run),
        (2, fold_and_die),
        (3, lambda: asyncio.gather(*(one.total(books.account) for one in reports), settle_one(apply=True))),
        (3, lambda: reports[0].day(books.account.id, books.today)),
    ]
    for _ in range(80):
        books.clock.advance(chance.choice([0.01, 1, 60, 400, 2000, 20_000]))
        [step] = chance.choices([step for _, step in steps], [weight for weight, _ in steps])
        await step()
        assert await chance.choice(reports).total(books.account) == await books.sums(), f"seed {seed}"
    books.clock.advance(3 * DAY_S)
    await books.sweeper.run()
    books.clock.advance(2 * DAY_S)
    await reports[0].total(books.account)
    stored = await books.rollups.read(books.account.id, TOTAL)
    assert stored is not None
    assert stored.tallies == await books.sums(), f"seed {seed}"


async def test_a_decision_counts_that_comes_days_after_all_others_were_folded(books: Books) -> None:
    await books.use(2)
    books.clock.advance(1)
    left_behind = await books.reserve()
    books.clock.advance(1)
    await books.use(3)
    day = books.today
    books.clock.advance(5 * DAY_S)

    before = await books.reports().total(books.account)
    rollup = await books.rollups.read(books.account.id, day)
    assert rollup is not None
    assert rollup.folded_to < left_behind.entry.reservation_id
    assert not rollup.complete
    await books.sweeper.run()

    after = await books.reports().total(books.account)
    assert summed(after).requests == summed(before).requests + 1
    assert summed(after).exposure_nano_usd == summed(before).exposure_nano_usd + left_behind.hold.amount_nano_usd
    assert after == await books.sums()
    folded_day = await books.rollups.read(books.account.id, day)
    assert folded_day is not None
    assert folded_day.complete


async def test_an_attempt_that_the_account_never_took_adds_nothing_however_late_it_is_swept(books: Books) -> None:
    await books.reserve(only_by_key=True)
    await books.use(2)
    books.clock.advance(5 * DAY_S)
    before = await books.reports().total(books.account)

    report = await books.sweeper.run()

    assert report.expired == 1
    assert await books.reports().total(books.account) == before == await books.sums()


async def test_nothing_young_is_folded(books: Books) -> None:
    await books.use(3)
    books.clock.advance(SETTLED_S - 1)

    assert await books.reports().day(books.account.id, books.today) == await books.sums()

    assert await books.rollups.read(books.account.id, books.today) is None


async def test_of_two_folders_at_once_one_writes_and_both_tell_the_truth(books: Books) -> None:
    await books.use(3)
    books.clock.advance(SETTLED_S + 1)
    late, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        late.set()
        await go_on.wait()

    slow = asyncio.create_task(books.reports(Meddled(books.rollups, before=wait)).day(books.account.id, books.today))
    await late.wait()
    await books.use(2)
    books.clock.advance(SETTLED_S + 1)
    quick = await books.reports().day(books.account.id, books.today)
    stored = await books.rollups.read(books.account.id, books.today)
    go_on.set()

    assert summed(await slow).total_tokens < summed(quick).total_tokens
    assert await books.rollups.read(books.account.id, books.today) == stored
    assert quick == await books.reports().day(books.account.id, books.today) == await books.sums()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("what", [die, fail])
async def test_a_write_that_is_lost_counts_nothing_twice_and_loses_nothing(
    books: Books, moment: str, what: Callable[[], Awaitable[None]]
) -> None:
    await books.use(9)
    books.clock.advance(2 * DAY_S)
    await books.use(9)
    meddled = Meddled(books.rollups, **{moment: what})

    for _ in range(3):
        try:
            assert await books.reports(meddled).total(books.account) == await books.sums()
        except Died:
            continue

    assert await books.reports().total(books.account) == await books.sums()
    assert await books.reports().total(books.account) == await books.sums()


async def test_finished_days_are_read_once_and_then_no_more(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        await books.use(2)
        books.clock.advance(3 * DAY_S)
    asked: list[str] = []
    entries = books.ledger.entries

    async def noted(account_id: str, day: str, **bounds: str | None) -> Sequence[LedgerEntry]:
        asked.append(day)
        return await entries(account_id, day, **bounds)  # type: ignore[arg-type]

    monkeypatch.setattr(books.ledger, "entries", noted)
    first = await books.reports().total(books.account)
    assert len(asked) == 13
    asked.clear()

    assert await books.reports().total(books.account) == first

    assert asked == [books.today]


async def test_days_remain_after_they_were_folded_into_the_total(books: Books) -> None:
    day = books.today
    await books.use(5)
    used = await books.sums()
    books.clock.advance(10 * DAY_S)
    await books.reports().total(books.account)
    await books.use(1)

    assert await books.reports().day(books.account.id, day) == used
    assert [rollup.period for rollup in await books.rollups.days(books.account.id, since=day)] == [day]
    assert not await books.rollups.days(books.account.id, since=books.today)


async def test_one_key_is_told_apart_from_another(books: Books) -> None:
    await books.use(12)
    tallies = await books.reports().total(books.account)

    of_keys = [summed(tallies, key) for key in KEYS]

    assert all(tally.requests for tally in of_keys)
    assert of_keys[0] + of_keys[1] == summed(tallies)
    assert summed(tallies, "key_cccccccccc") == Tally()


async def test_a_rollup_is_replaced_only_by_who_read_the_one_that_stands(books: Books) -> None:
    first = Rollup("acct_a", "2026-11-23", "a", tallies={Usage("k", "m|n"): Tally(1, 2, 0, 4)})
    second = Rollup("acct_a", "2026-11-23", "b", tallies={Usage("k", "m|n"): Tally(2, 3, 0, 5)})
    done = Rollup("acct_a", "2026-11-23", "b", complete=True, tallies=second.tallies)

    assert await books.rollups.advance(first, previous=None)
    assert not await books.rollups.advance(second, previous=None)
    assert await books.rollups.advance(second, previous=first)
    assert not await books.rollups.advance(second, previous=first)
    assert await books.rollups.advance(done, previous=second)
    assert not await books.rollups.advance(done, previous=second)
    assert await books.rollups.read("acct_a", "2026-11-23") == done


async def test_the_largest_rollup_fits_an_item_and_still_adds_up(books: Books) -> None:
    huge = Tally(*(10**17 + place for place in range(len(Tally.__slots__))))
    everything: dict[Usage, Tally] = {}
    count = 0
    for usage in _many_usages():
        everything = merged(everything, {usage: huge})
        count += 1
    rollup = Rollup("acct_" + "a" * 12, TOTAL, "2026-11-23", tallies=everything)

    assert len(everything) == MOST_ROWS + MOST_KEY_ROWS + 1
    assert summed(everything) == Tally(*(getattr(huge, name) * count for name in Tally.__slots__))
    assert Usage(OTHER, OTHER) in everything
    assert await books.rollups.advance(rollup, previous=None)
    assert await books.rollups.read(rollup.account_id, TOTAL) == rollup


def _many_usages() -> Iterable[Usage]:
    """More keys than there are rows for, each with more models; the longest names there can be."""
    for key in range(MOST_ROWS + MOST_KEY_ROWS):
        for model in range(2):
            yield Usage(f"key_{key:010d}", f"{model:0>64}")

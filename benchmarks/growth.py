"""
DynamoDB units of one request on every route, and whether they grow: with accounts, keys, the ledger, what is open.

    make bench-growth                              # ledger up to 10⁵ entries
    make bench-growth GROWTH="--most 1000000"      # some ten minutes more

Units are those that the engine reports (`ReturnConsumedCapacity`), indexes included, for the gateway's own calls; a
refused conditional write, for which it reports none, counts as one. Nothing here is timed by a wall clock: a busy
machine changes only the CPU figures, which are medians or of one call.
"""

import argparse
import asyncio
import itertools
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from harness.tables import markdown
from jatevo_testing.clocks import ManualClock
from jatevo_testing.tables import fresh_tables, put_account
from jatevo_testing.units import UnitMeter
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.adapters.dynamodb.grants import DynamoGrants
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.application.usage import UsageReports
from jatevo.bootstrap import Settings
from jatevo.domain import ids
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.grants import Grant
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason, Timings
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import Hold, Limits
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

REQUESTS = 10
"""Of which a row is the mean."""
NOON_MS = 1_795_003_200_000
OPEN = (0, 15, 63, 255, 1023)
REGISTERED = (1_000, 10_000)
PLENTY = 10**9
_READS = ("GetItem", "Query", "TransactGetItems", "BatchGetItem", "Scan")

type Call = tuple[str, float, float]
type Ask = Callable[[], Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Units:
    """Of some calls: write and read request units, and how many calls."""

    writes: float
    reads: float
    calls: float

    @staticmethod
    def of(calls: Sequence[Call], requests: int = 1) -> "Units":
        reads = sum(table + index for name, table, index in calls if name.startswith(_READS))
        writes = sum(table + index for name, table, index in calls if not name.startswith(_READS))
        return Units(writes / requests, reads / requests, len(calls) / requests)


@dataclass(frozen=True, slots=True)
class Ground:
    """A gateway over an engine of its own, its calls metered."""

    world: World
    meter: UnitMeter
    clock: ManualClock

    async def units(self, ask: Ask, status: int = 200, requests: int = REQUESTS) -> Units:
        """Return the mean of requests, after two that are not counted."""
        for counted in (2, requests):
            self.meter.take()
            for _ in range(counted):
                answer = await ask()
                assert answer.status_code == status, answer.text
        return Units.of(self.meter.take(), requests)

    async def first(self, ask: Ask) -> Units:
        """Return what a process that knows nothing yet asks for on a request."""
        self.world.gateway.directory.forget()
        self.meter.take()
        answer = await ask()
        assert answer.status_code == 200, answer.text
        return Units.of(self.meter.take())


@asynccontextmanager
async def ground(endpoint: str) -> Any:
    with fresh_tables(endpoint) as names:
        clock, meter = ManualClock(NOON_MS), UnitMeter()
        settings = Settings(directory_keep_ms=3_600_000)
        world = World(endpoint, names.windows.removesuffix("-windows"), settings, clock)
        async with ScriptedUpstream() as upstream:
            pool = {"id": "main", "base_url": upstream.base_url, "api_key": "env:POOL_KEY", "concurrency": 64}
            lanes = [{"id": "gold", "pools": ["main"], "guaranteed": {"main": 32}}]
            undivided = {"id": "other", "base_url": upstream.base_url, "api_key": "env:POOL_KEY"}
            reserved = MODEL | {"id": "reserved-model"}
            model = MODEL | {"routes": [MODEL["routes"][0] | {"pool": "other"}]}
            world.put_catalogue({"pools": [pool, undivided], "models": [model, reserved], "lanes": lanes})
            meter.attach(world.gateway.dynamodb)
            yield Ground(world, meter, clock)
            await world.close()


def chat(world: World, customer: Customer, **body: Any) -> Ask:
    return lambda: world.chat(customer, max_tokens=10, **body)


def respond(world: World, customer: Customer, **body: Any) -> Ask:
    sent = {"model": "test-model", "input": "hello", "max_output_tokens": 10, **body}
    return lambda: world.client.post("/v1/responses", json=sent, headers=customer.headers)


async def kinds(here: Ground) -> Iterator[tuple[str, Ask, int]]:
    """Return what customers may send, under every kind of limit, and the status that it gets."""
    world = here.world
    terms: dict[str, Any] = {"requests": PLENTY, "budget_nano_usd": 10**15}
    plain = world.customer(**terms)
    month = Limits(PLENTY, 10**15)
    prepaid = world.customer(**(terms | {"budget_nano_usd": 0}), prepaid=True)
    await _grant(world, prepaid, 10**6 * USD)
    all_of_them = {"monthly": month, "requests_per_minute": PLENTY, "lanes": frozenset({"gold"})}
    caps = Limits(PLENTY, 10**15)
    gold = world.customer(**terms, lanes=frozenset({"gold"}))
    minute = world.customer(**terms, requests_per_minute=PLENTY)
    both = world.customer(**terms, monthly=month, requests_per_minute=PLENTY)
    everything = world.customer(**terms, **all_of_them, caps=caps)
    first = await respond(world, plain)()
    spent = world.customer(requests=2)
    return iter(
        [
            ("chat, the account's day alone", chat(world, plain), 200),
            ("the same, streamed", chat(world, plain, stream=True), 200),
            ("a key with caps", chat(world, world.customer(**terms, caps=caps)), 200),
            ("a month", chat(world, world.customer(**terms, monthly=month)), 200),
            ("a minute", chat(world, minute), 200),
            ("month and minute", chat(world, both), 200),
            ("a prepaid balance, the day's budget spent", chat(world, prepaid), 200),
            ("a place in a reserved lane", chat(world, gold, model="gold/reserved-model"), 200),
            ("month, minute, caps and a place", chat(world, everything, model="gold/reserved-model"), 200),
            ("a response, not stored", respond(world, plain, store=False), 200),
            ("a response, stored", respond(world, plain), 200),
            ("continued and stored", respond(world, plain, previous_response_id=first.json()["id"]), 200),
            ("refused, the day's requests are used up: most are remembered", chat(world, spent), 429),
        ]
    )


async def _grant(world: World, customer: Customer, nano_usd: int) -> None:
    grants = DynamoGrants(world.gateway.dynamodb, world.names)
    await grants.add(Grant("g", customer.account.id, nano_usd, "a benchmark", "nobody", NOON_MS // 1000))


async def of_routes(endpoint: str) -> str:
    rows = []
    async with ground(endpoint) as here:
        for name, ask, status in await kinds(here):
            if status != 200:
                await ask(), await ask()
            units = await here.units(ask, status)
            first = await here.first(ask) if status == 200 else None
            cold = (first.writes, first.reads) if first else (None, None)
            rows.append([name, units.writes, units.reads, units.calls, *cold])
    head = ["a request", "write units", "read units", "calls", "writes, nothing known", "reads, nothing known"]
    return markdown(head, rows)


async def with_open(endpoint: str) -> str:
    """Return what reserving and settling cost while others are open in the same window."""
    rows = []
    async with ground(endpoint) as here:
        world = here.world
        windows = world.gateway.windows
        customer = world.customer(requests=PLENTY, budget_nano_usd=10**15, concurrency=4096)
        await chat(world, customer)()
        key = account_window(customer.account.id, world.today())
        hold = Hold(123_456_789, NOON_MS // 1000 + 630, customer.key.ref)
        held = 0
        for count in OPEN:
            for _ in range(count - held):
                await windows.reserve(key, ids.reservation_id(NOON_MS, secrets.randbits(64)), hold)
            held = count
            here.meter.take()
            reserve, settle = [], []
            for _ in range(REQUESTS):
                name = ids.reservation_id(NOON_MS, secrets.randbits(64))
                reserve.append(await _cpu_ms(windows.reserve(key, name, hold)))
                ends = windows.settle(key, name, hold, charge_nano_usd=1, give_request_back=False, exposed_nano_usd=0)
                settle.append(await _cpu_ms(ends))
            units = Units.of(here.meter.take(), REQUESTS)
            rows.append([f"{count:,}", units.writes, statistics.median(reserve), statistics.median(settle)])
    return markdown(["others open", "write units, reserve and apply", "reserve, CPU ms", "apply, CPU ms"], rows)


async def _cpu_ms(work: Awaitable[object]) -> float:
    began = time.process_time()
    await work
    return (time.process_time() - began) * 1000


async def with_accounts(endpoint: str) -> str:
    """Return what a request costs among many accounts, and among many keys of one account."""
    rows = []
    async with ground(endpoint) as here:
        world = here.world
        customer = world.customer(requests=PLENTY, budget_nano_usd=10**15)
        there = 1
        for count in (1, *REGISTERED):
            for _ in range(count - there):
                someone = replace(customer.account, id=ids.account_id(secrets.randbits(64)))
                put_account(world.dynamodb, world.names, someone)
                world.key_of(someone)
            there = count
            rows.append(await _registered(here, customer, f"{count:,} account{'s' if count > 1 else ''}, a key each"))
        for _ in range(99):
            world.key_of(customer.account)
        rows.append(await _registered(here, customer, "and 100 keys of the one that asks, the most it may have"))
    return markdown(["registered", "write units", "read units", "writes, nothing known", "reads, nothing known"], rows)


async def _registered(here: Ground, customer: Customer, name: str) -> list[object]:
    ask = chat(here.world, customer)
    units = await here.units(ask)
    first = await here.first(ask)
    return [name, units.writes, units.reads, first.writes, first.reads]


async def with_ledger(endpoint: str, most: int) -> str:
    """Return what a request, sums and pages cost while one account's book of one day grows."""
    rows = []
    async with ground(endpoint) as here:
        world = here.world
        customer = world.customer(requests=PLENTY, budget_nano_usd=10**15)
        usage, reads = world.gateway.usage(), world.gateway.ledger
        day, there = world.today(), 0
        for count in itertools.takewhile(lambda count: count <= most, (10**power for power in range(3, 7))):
            await _fill(world, customer, there, count)
            there = count
            request = await here.units(chat(world, customer))
            folding = await _sums(here, usage, customer)
            again = await _sums(here, usage, customer)
            await reads.entries(customer.account.id, day, limit=100, newest=True)
            page = Units.of(here.meter.take())
            row = [f"{count:,}", request.writes, page.reads]
            rows.append([*row, folding[0].reads, folding[1], again[0].reads, again[1]])
    head = ["entries", "a request, writes", "newest 100, reads", "sums, first: reads", "CPU ms", "sums, again: reads"]
    return markdown([*head, "CPU ms"], rows)


async def _sums(here: Ground, usage: UsageReports, customer: Customer) -> tuple[Units, float]:
    here.meter.take()
    cpu_ms = await _cpu_ms(usage.total(customer.account))
    return Units.of(here.meter.take()), cpu_ms


async def _fill(world: World, customer: Customer, first: int, end: int) -> None:
    """Put entries `first` to `end` into the account's book of today, each a little after the one before."""
    store = world.gateway.ledger
    assert isinstance(store, DynamoLedger)
    began_ms = NOON_MS - 11 * 3_600_000
    assert utc_day(began_ms // 1000) == world.today()
    for begin in range(first, end, 25):
        puts = [
            {"PutRequest": {"Item": store.item(_entry(customer, world.today(), began_ms + number * 35))}}
            for number in range(begin, min(begin + 25, end))
        ]
        await world.gateway.dynamodb.retried("batch_write_item", RequestItems={world.names.ledger: puts})


def _entry(customer: Customer, day: str, at_ms: int) -> LedgerEntry:
    account = customer.account.id
    return LedgerEntry(
        account_id=account,
        day=day,
        reservation_id=ids.reservation_id(at_ms, secrets.randbits(64)),
        outcome=Outcome.CHARGED,
        reason=Reason.ANSWERED,
        reserved_nano_usd=1_000_000,
        windows=(account_window(account, day),),
        key_id=customer.key.id,
        model="test-model",
        lane="default",
        price_version=1,
        usage=TokenUsage(812, 345),
        usage_source=UsageSource.REPORTED,
        figures=Figures(812_345, 81_234, 893_579),
        timings=Timings(5_432, 321),
        decided_at_ms=at_ms + 5_432,
    )


async def report(endpoint: str, most: int) -> None:
    print("## Units of a request\n\n" + await of_routes(endpoint))
    print("\n## With what is open\n\n" + await with_open(endpoint))
    print("\n## With accounts and keys\n\n" + await with_accounts(endpoint))
    print("\n## With the ledger\n\n" + await with_ledger(endpoint, most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=100_000, help="entries of the largest ledger")
    options = parser.parse_args()
    os.environ.update(AWS_ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=lambda _: None) as children:
        asyncio.run(report(start_dynoxide(children, free_port()).endpoint_url, options.most))


if __name__ == "__main__":
    main()

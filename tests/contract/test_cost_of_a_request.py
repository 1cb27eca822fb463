"""What one accepted request costs in DynamoDB: three writes and no read, each of one unit while the window is small."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import TOKEN_UNITS, Holders, solana_wallet
from jatevo_testing.units import UnitMeter
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import Customer, World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.conversations import Conversation
from jatevo.bootstrap import Settings
from jatevo.domain import ids
from jatevo.domain.accounts import Account, LimitsFrom, account_window
from jatevo.domain.windows import Hold, Limits, Window

SMALLEST_ITEM_BYTES = 1024
"""Up to here a write costs one unit."""


@dataclass(frozen=True)
class Metered:
    world: World
    meter: UnitMeter
    customer: Customer

    async def hold_open(self, others: int) -> Window:
        """Leave other requests open in the customer's window."""
        key = account_window(self.customer.account.id, self.world.today())
        now_s = self.world.gateway.clock.now_ms() // 1000
        for _ in range(others):
            name = ids.reservation_id(now_s * 1000, self.world.gateway.randomness.bits(64))
            hold = Hold(123_456_789, now_s + 630, self.customer.key.ref)
            await self.world.gateway.windows.reserve(key, name, hold)
        window = await self.world.window(self.customer)
        self.meter.take()
        return window


@pytest.fixture
async def metered(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream) -> AsyncIterator[Metered]:
    world = World(dynoxide, tables.windows.removesuffix("-windows"), Settings(directory_keep_ms=60_000))
    world.apply_catalogue(base_url=upstream.base_url)
    meter = UnitMeter()
    meter.attach(world.gateway.dynamodb)
    customer = world.customer(requests=1000, budget_nano_usd=10**12)
    assert (await world.chat(customer, max_tokens=10)).status_code == 200
    meter.take()
    yield Metered(world, meter, customer)
    await world.close()


RESERVE, DECIDE, APPLY = "UpdateItem windows", "PutItem ledger", "UpdateItem windows"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_alone_costs_three_writes_of_one_unit_and_no_read(metered: Metered, *, stream: bool) -> None:
    answer = await metered.world.chat(metered.customer, max_tokens=10, stream=stream)
    assert answer.status_code == 200
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY]
    assert [units for _, units, _ in calls] == [1, 1, 1]
    assert sum(indexes for _, _, indexes in calls) == 0, "the window is in the sweep index already"


async def test_a_window_enters_the_sweep_index_for_one_more_unit(metered: Metered) -> None:
    sweeper = metered.world.gateway.sweeper()
    sweeper._clock = _Later(metered.world)
    await sweeper.run()
    metered.meter.take()
    assert (await metered.world.chat(metered.customer, max_tokens=10)).status_code == 200
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY]
    assert sum(units + indexes for _, units, indexes in calls) <= 4


async def test_the_first_request_of_all_reads_its_key_account_and_catalogue_and_opens_its_window(
    metered: Metered,
) -> None:
    customer = metered.world.customer()
    metered.world.gateway.directory.forget()
    assert (await metered.world.chat(customer, max_tokens=10)).status_code == 200
    names = [name for name, _, _ in metered.meter.take()]
    assert sorted(name for name in names if name.startswith(("GetItem", "Query"))) == [
        "GetItem accounts",
        "GetItem accounts",
        "GetItem keys",
        "Query catalogue",
    ]
    assert [name for name in names if "Transact" in name] == [
        "TransactWriteItems accounts",
        "TransactWriteItems windows",
    ]


async def test_with_sixteen_requests_open_a_request_still_costs_three_units(metered: Metered) -> None:
    await metered.hold_open(15)
    assert (await metered.world.chat(metered.customer, max_tokens=10)).status_code == 200
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY]
    assert [units for _, units, _ in calls] == [1, 1, 1]


async def test_a_window_with_sixteen_requests_open_fits_the_smallest_unit(metered: Metered) -> None:
    window = await metered.hold_open(16)
    assert len(window.open) == 16
    item = metered.world.dynamodb.get_item(
        TableName=metered.world.names.windows,
        Key={"owner": {"S": window.key.owner}, "period": {"S": window.key.period}},
    )["Item"]
    assert size_of(item) <= SMALLEST_ITEM_BYTES, {name: size_of({name: value}) for name, value in item.items()}


def size_of(item: Mapping[str, Any]) -> int:
    """The bytes of an item as DynamoDB documents them: names, and values by type."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "N":
        return (len(content.lstrip("-").strip("0")) + 1) // 2 + 1
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_size(entry) for name, entry in content.items())
    if kind == "SS":
        return sum(len(text.encode()) for text in content)
    return 1 if kind in {"BOOL", "NULL"} else len(content if kind == "B" else content.encode())


class _Later:
    """A clock an hour ahead: for a sweeper that finds everything expired."""

    def __init__(self, world: World) -> None:
        self._clock = world.gateway.clock

    def now_ms(self) -> int:
        return self._clock.now_ms() + 3_600_000


async def respond(metered: Metered, **body: Any) -> httpx.Response:
    sent = {"model": "test-model", "input": "hello", "max_output_tokens": 10, **body}
    answer = await metered.world.client.post("/v1/responses", json=sent, headers=metered.customer.headers)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("stream", [True, False])
async def test_a_response_that_is_not_stored_costs_what_a_chat_does(metered: Metered, *, stream: bool) -> None:
    await respond(metered, store=False, stream=stream)
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY]
    assert [units for _, units, _ in calls] == [1, 1, 1]


async def test_a_stored_response_costs_one_write_more_and_a_continued_one_a_read(metered: Metered) -> None:
    first = await respond(metered)
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY, "PutItem responses"]
    assert calls[-1][1] == 1, "a short response fits the smallest unit"
    await respond(metered, previous_response_id=first.json()["id"])
    calls = metered.meter.take()
    assert [name for name, _, _ in calls] == ["GetItem responses", RESERVE, DECIDE, APPLY, "PutItem responses"]


async def test_a_turn_of_a_conversation_is_kept_by_one_transaction(metered: Metered) -> None:
    histories, account = metered.world.gateway.histories(), metered.customer.account
    await histories.conversations.create(Conversation("conv_a", account.id, 0, {}), [])
    metered.meter.take()
    await respond(metered, conversation="conv_a")
    names = [name for name, _, _ in metered.meter.take()]
    assert names == ["Query responses", RESERVE, DECIDE, APPLY, "GetItem responses", "TransactWriteItems responses"]


@pytest.fixture
async def entitled(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream) -> AsyncIterator[Metered]:
    """An account whose limits come from the eleven dollars that its one wallet holds."""
    clock = ManualClock()
    settings = Settings(directory_keep_ms=60_000)
    world = World(dynoxide, tables.windows.removesuffix("-windows"), settings, clock)
    world.apply_catalogue(base_url=upstream.base_url)
    holders, wallet = Holders(clock, world.gateway.dynamodb, world.names), solana_wallet(1)
    account = Account("acct_000000000000", "holder", Limits(0, 0, 64), limits_from=LimitsFrom.HOLDINGS)
    assert await holders.wallets.create_account(account, wallet)
    await holders.snapshot({wallet: 11 * TOKEN_UNITS})
    now = holders.now_unix_s
    await world.gateway.administration().prices.set_rate("1.00", now + 10 * 86_400, "a test", "first")
    meter = UnitMeter()
    meter.attach(world.gateway.dynamodb)
    yield Metered(world, meter, world.key_of(account))
    await world.close()


FIRST_OF_THE_DAY = [
    *("GetItem accounts", "GetItem accounts", "GetItem accounts"),
    *("GetItem holdings", "Query holdings", "PutItem holdings"),
    *("Query wallets", "GetItem wallets", "UpdateItem wallets"),
    *("GetItem holdings", "GetItem prices", "UpdateItem accounts", "TransactWriteItems accounts"),
]
"""The gate reads the account; the snapshot, pinned; a wallet, claimed; its part of it, the price, and the limits."""


async def test_limits_from_holdings_cost_something_once_a_day_and_nothing_a_request(entitled: Metered) -> None:
    answer = await entitled.world.chat(entitled.customer, max_tokens=10)
    assert (answer.status_code, answer.headers["x-ratelimit-limit-requests"]) == (200, "11")
    tables = {name.partition(" ")[2] for name in FIRST_OF_THE_DAY}
    assert [name for name, _, _ in entitled.meter.take() if name.partition(" ")[2] in tables] == FIRST_OF_THE_DAY
    for _ in range(2):
        assert (await entitled.world.chat(entitled.customer, max_tokens=10)).status_code == 200
        calls = entitled.meter.take()
        assert [name for name, _, _ in calls] == [RESERVE, DECIDE, APPLY]
        assert [units for _, units, _ in calls] == [1, 1, 1]

"""On two real engines: grants are made once, whole or not at all, and windows of every kind follow the pure rules."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.tables import put_account

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.grants import DynamoGrants
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.administration.grants import NotEnough
from jatevo.application.ports import Conflict
from jatevo.domain import ids, windows
from jatevo.domain.accounts import Account
from jatevo.domain.binding import Slot, lane_window, minute_window, month_window, prepaid_window, slot_binding
from jatevo.domain.grants import Grant
from jatevo.domain.money import MAX_NANO_USD
from jatevo.domain.windows import Bound, Hold, Limits, Refused, Window, WindowKey, opened, unbalanced_nano_usd
from jatevo_local.engine import REGION

IDS = [ids.reservation_id(1_795_003_200_000 + place, place) for place in range(8)]


@dataclass(frozen=True)
class Stores:
    engine: Engine
    windows: DynamoWindows
    grants: DynamoGrants
    account: Account

    def grant(self, amount: int, grant_id: str = "g", order: str = "1") -> Grant:
        return Grant(grant_id, self.account.id, amount, "paid", "ada", 1_795_003_200, order)

    async def balance(self) -> Window | None:
        return await self.windows.read(prepaid_window(self.account.id))

    def item(self, key: WindowKey) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = self.engine.calls.get_item(
            TableName=self.engine.names.windows, Key={"owner": {"S": key.owner}, "period": {"S": key.period}}
        )["Item"]
        return found


@pytest.fixture
async def stores(engine: Engine, counted: Iterator[int]) -> AsyncIterator[Stores]:
    client = DynamoClient(ClientOptions(REGION, engine.endpoint_url))
    account = Account(f"acct_g{next(counted)}", "test", Limits(9, 9, 9))
    put_account(engine.calls, engine.names, account)
    yield Stores(engine, DynamoWindows(client, engine.names), DynamoGrants(client, engine.names), account)
    client.close()


async def test_the_first_grant_opens_a_balance_that_never_ends(stores: Stores) -> None:
    assert await stores.balance() is None
    grant = stores.grant(100)
    assert await stores.grants.add(grant) == grant
    expected = opened(prepaid_window(stores.account.id), Limits(budget_nano_usd=100), 1)
    assert await stores.balance() == expected
    assert "ttl" not in stores.item(expected.key)
    assert list(await stores.grants.grants(stores.account.id)) == [grant]


async def test_of_grants_with_one_id_one_is_made_and_the_others_are_told_which(stores: Stores) -> None:
    asked = [stores.grant(100, order=str(number)) for number in range(6)]
    answers = await asyncio.gather(*(stores.grants.add(grant) for grant in asked))
    assert len(set(answers)) == 1
    assert answers[0] in asked
    balance = await stores.balance()
    assert balance is not None
    assert balance.limits.budget_nano_usd == balance.budget_left_nano_usd == 100


async def test_a_correction_takes_what_is_left_and_not_held_and_nothing_more(stores: Stores) -> None:
    await stores.grants.add(stores.grant(100))
    key = prepaid_window(stores.account.id)
    held = Hold(30, 1_795_003_300, "k", requests=0, mark="p")
    assert isinstance(await stores.windows.reserve(key, IDS[0], held), Window)
    with pytest.raises(NotEnough):
        await stores.grants.add(stores.grant(-71, "c"))
    assert [grant.id for grant in await stores.grants.grants(stores.account.id)] == ["g"]
    await stores.grants.add(stores.grant(-70, "c"))
    assert await stores.windows.settle(
        key, IDS[0], held, charge_nano_usd=30, give_request_back=False, exposed_nano_usd=0
    )
    balance = await stores.balance()
    assert balance is not None
    assert (balance.limits.budget_nano_usd, balance.settled_nano_usd, balance.budget_left_nano_usd) == (30, 30, 0)
    assert unbalanced_nano_usd(balance) == 0
    assert sum(grant.amount_nano_usd for grant in await stores.grants.grants(stores.account.id)) == 30


async def test_a_grant_that_cannot_be_made_leaves_nothing(stores: Stores) -> None:
    with pytest.raises(Conflict):
        await stores.grants.add(replace(stores.grant(1), account_id="acct_nobody"))
    assert await stores.windows.read(prepaid_window("acct_nobody")) is None
    with pytest.raises(NotEnough):
        await stores.grants.add(stores.grant(-1))
    await stores.grants.add(stores.grant(MAX_NANO_USD))
    with pytest.raises(NotEnough):
        await stores.grants.add(stores.grant(1, "more"))
    assert len(await stores.grants.grants(stores.account.id)) == 1


@pytest.mark.parametrize("kind", ["minute", "month", "lane", "slots"])
async def test_windows_of_every_kind_follow_the_rules(stores: Stores, kind: str) -> None:
    account_id = stores.account.id
    binding = slot_binding(Slot(account_id, "pool", 2, 1))
    key, limits, wanted = {
        "minute": (minute_window(account_id, "2026-11-23T10:41"), Limits(requests=2), Hold(0, 1, "k", mark="u")),
        "month": (month_window(account_id, "2026-11"), Limits(2, 20), Hold(10, 1, "k", mark="m")),
        "lane": (lane_window(account_id, "2026-11-23"), Limits(2, 20), Hold(10, 1, "k", mark=f"lx;a{account_id}")),
        "slots": (binding.key, binding.limits or Limits(), Hold(0, 1, "k", 0, f"a{account_id}")),
    }[kind]
    window = opened(key, limits, 1)
    await stores.windows.open(window, None)
    assert ("ttl" in stores.item(key)) == (kind != "slots")
    for place in range(2):
        after = windows.reserve(window, IDS[place], wanted)
        assert await stores.windows.reserve(key, IDS[place], wanted) == after
        assert isinstance(after, Window)
        window = after
    refused = await stores.windows.reserve(key, IDS[2], wanted)
    assert refused == windows.reserve(window, IDS[2], wanted)
    assert isinstance(refused, Refused)
    assert refused.bound is (Bound.CONCURRENCY if kind == "slots" else Bound.REQUESTS_EMPTY)

    ended = {"charge_nano_usd": wanted.amount_nano_usd // 2, "exposed_nano_usd": 0}
    assert await stores.windows.settle(key, IDS[0], wanted, give_request_back=True, **ended)
    expected = windows.settle(window, IDS[0], give_request_back=True, **ended)
    assert await stores.windows.read(key) == expected
    assert expected is not None
    assert windows.reserve(expected, IDS[3], replace(wanted, amount_nano_usd=0)) == await stores.windows.reserve(
        key, IDS[3], replace(wanted, amount_nano_usd=0)
    )

"""Operators and holdings: handing an account back to what its wallets hold, looking again, and the trail of both."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.holders import Holders, holders_on, solana_wallet
from jatevo_testing.solana import SolanaStandIn, solana_node

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.bootstrap import Gateway, Settings
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.windows import opened
from jatevo_admin.handler import create_app

TOKEN = "an operator's token, long enough"
TOKENS = 10**6
DAY_S = 86_400
RICH, POOR = solana_wallet(1), solana_wallet(2)


@dataclass(frozen=True)
class Office:
    """The admin API, a chain that it reads, and an account of a wallet that holds eleven dollars there."""

    admin: httpx.AsyncClient
    node: SolanaStandIn
    holders: Holders
    clock: ManualClock
    account: str

    async def change(self, **fields: Any) -> dict[str, Any]:
        answer = await self.admin.patch(f"/accounts/{self.account}", json=fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def trail(self, action: str) -> list[dict[str, Any]]:
        changes = (await self.admin.get("/audit")).json()["changes"]
        return [change for change in changes if change["action"] == action]


@pytest.fixture
def node() -> Iterator[SolanaStandIn]:
    clock = ManualClock()
    with solana_node(SolanaStandIn(time=lambda: clock.now_ms() // 1000)) as served:
        served.hold(RICH, 11 * TOKENS)
        yield served


@pytest.fixture
async def office(dynoxide: str, tables: TableNames, node: SolanaStandIn) -> AsyncIterator[Office]:
    settings = Settings(
        dynamodb_endpoint=dynoxide,
        table_prefix=tables.windows.removesuffix("-windows"),
        operator_token=TOKEN,
        solana_token=str(node.token),
        solana_rpc_urls=node.url,
    )
    clock = ManualClock()
    gateway = Gateway(settings, {}, clock=clock)
    transport = httpx.ASGITransport(create_app(gateway), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://gateway/admin/v1", headers=headers) as admin,
        holders_on(dynoxide, tables) as holders,
    ):
        rate = {"price_usd": "1.00", "expires_at_unix_s": holders.now_unix_s + 3600, "reason": "a test"}
        assert (await admin.put("/price/rate", json=rate)).status_code == 200
        assert (await admin.post("/holdings/snapshot")).status_code == 200
        yield Office(admin, node, holders, clock, await holders.account(1, RICH))
    gateway.close()


def limits(account: dict[str, Any]) -> tuple[int, str, str]:
    return account["requests_per_day"], account["budget_usd_per_day"], account["limits_from"]


async def test_an_account_is_handed_back_to_its_holdings_at_once(office: Office) -> None:
    assert limits(await office.change(requests_per_day=500, budget_usd_per_day="100.00")) == (500, "100.00", "operator")
    back = await office.change(limits_from="holdings")
    assert (limits(back), back["entitled_day"]) == ((11, "11.00", "holdings"), utc_day(office.holders.now_unix_s))
    told = [change for change in await office.trail("account.change") if limits(change["after"])[2] == "holdings"]
    assert [(limits(change["before"]), change["operator"]) for change in told] == [
        ((500, "100.00", "operator"), "first")
    ]
    assert limits(told[0]["after"]) == limits(back)


async def test_an_open_window_follows_and_what_was_spent_stays_spent(office: Office) -> None:
    await office.change(requests_per_day=500, budget_usd_per_day="100.00")
    stored = await office.holders.accounts.account(office.account)
    assert stored is not None
    key = account_window(office.account, office.holders.today)
    spent = replace(opened(key, stored.limits, stored.version), requests_left=496, budget_left_nano_usd=97 * 10**9)
    await office.holders.windows.open(replace(spent, settled_nano_usd=3 * 10**9), stored.version)
    await office.change(limits_from="holdings")
    window = await office.holders.window(office.account)
    assert window is not None
    assert (window.limits.requests, window.requests_left, window.budget_left_nano_usd) == (11, 7, 8 * 10**9)


async def test_limits_that_holdings_gave_may_be_kept_for_good(office: Office) -> None:
    await office.change(limits_from="holdings")
    assert limits(await office.change(limits_from="operator")) == (11, "11.00", "operator")
    office.node.transfer(RICH, POOR, 11 * TOKENS)
    answer = await office.admin.post("/holdings/refresh", json={"account_id": office.account})
    assert limits(answer.json()) == (11, "11.00", "operator")


async def test_limits_are_set_by_one_of_the_two(office: Office) -> None:
    before = (await office.admin.get(f"/accounts/{office.account}")).json()
    for body in ({"limits_from": "holdings", "requests_per_day": 5}, {"limits_from": "luck"}, {"limits_from": None}):
        answer = await office.admin.patch(f"/accounts/{office.account}", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limits_from")
    assert (await office.admin.get(f"/accounts/{office.account}")).json() == before


async def test_an_account_without_a_wallet_has_nothing_from_holdings(office: Office) -> None:
    wanted = {"name": "Ada", "requests_per_day": 100, "budget_usd_per_day": "10.00"}
    made = (await office.admin.post("/accounts", json=wanted)).json()
    answer = await office.admin.patch(f"/accounts/{made['account_id']}", json={"limits_from": "holdings"})
    assert limits(answer.json()) == (0, "0.00", "holdings")


async def test_a_window_that_is_not_open_shows_no_other_days_limits(office: Office) -> None:
    path = f"/accounts/{office.account}/window"
    await office.change(limits_from="holdings")
    assert (await office.admin.get(path)).json()["requests_limit"] == 11
    office.clock.advance(DAY_S)
    shown = (await office.admin.get(path)).json()
    assert (shown["requests_limit"], shown["budget_limit_nano_usd"]) == (0, 0)


async def test_looking_again_and_snapshots_by_hand_are_in_the_trail(office: Office) -> None:
    await office.change(limits_from="holdings")
    office.node.transfer(RICH, POOR, 8 * TOKENS)
    await office.admin.post("/holdings/refresh", json={"account_id": office.account})
    await office.admin.post("/holdings/refresh", json={})
    told = {change["subject"]: change for change in await office.trail("holdings.refresh")}
    of_one, of_all = told[office.account], told["holdings"]
    assert (of_one["before"]["requests_per_day"], of_one["after"]["requests_per_day"]) == (11, 3)
    assert (of_all["after"]["accounts"], of_all["operator"]) == (1, "first")
    [taken] = await office.trail("holdings.snapshot")
    assert taken["after"]["holders"] == {str(office.node.token): 1}

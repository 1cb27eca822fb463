"""Balances, quotas of minutes and months, and resold keys: set by an operator, met by a client, to the second."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.refusals import refused
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, World

from jatevo.bootstrap import Settings
from jatevo.domain.calendar import iso_instant, period_end_unix_s, utc_day, utc_minute, utc_month
from jatevo_account.handler import create_app as account_app
from jatevo_admin.handler import create_app as admin_app

TOKEN = "an operator's token, long enough"
FLAT = MODEL | {"id": "flat-model", "price": {"input": "0", "output": "0", "request": "1.00"}}
"""A dollar each, at no margin."""
QUOTA, RATE = "insufficient_quota", "rate_limit_exceeded"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream, clock: ManualClock) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        settings = Settings(directory_keep_ms=0, operator_token=TOKEN, margin_bps=0)
        made = World(dynoxide, names.windows.removesuffix("-windows"), settings, clock)
        made.apply_catalogue(MODEL, FLAT, base_url=upstream.base_url)
        upstream.script = answering("hello", usage(10, 20))
        yield made
        await made.close()


@asynccontextmanager
async def client_of(app: Any, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(admin_app(world.gateway), TOKEN) as client:
        client.base_url = httpx.URL("http://gateway/admin/v1")
        yield client


class Held:
    """An account made by the admin API, and one key of it."""

    def __init__(self, admin: httpx.AsyncClient, world: World, account: dict[str, Any], key: dict[str, Any]) -> None:
        self._admin, self._world = admin, world
        self.id, self.key = account["account_id"], key
        self.secret = key["key"]

    async def set(self, **fields: Any) -> None:
        answer = await self._admin.patch(f"/accounts/{self.id}", json=fields)
        assert answer.status_code == 200, answer.text

    async def chat(self, model: str = "flat-model", **body: Any) -> httpx.Response:
        message = {"model": model, "messages": [{"role": "user", "content": "hello"}], **body}
        headers = {"authorization": f"Bearer {self.secret}"}
        return await self._world.client.post("/v1/chat/completions", json=message, headers=headers)

    async def usage(self) -> httpx.Response:
        async with client_of(account_app(self._world.gateway), self.secret) as client:
            answer = await client.get("/v1/usage")
        assert answer.status_code == 200, answer.text
        return answer

    async def grant(self, grant_id: str, amount: str, status: int = 201, **more: Any) -> dict[str, Any]:
        body = {"grant_id": grant_id, "amount_usd": amount, "reason": "paid", **more}
        answer = await self._admin.post(f"/accounts/{self.id}/grants", json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def balance(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._admin.get(f"/accounts/{self.id}/grants")).json()
        return found


async def held(admin: httpx.AsyncClient, world: World, *, key: dict[str, Any] | None = None, **account: Any) -> Held:
    wanted = {"name": "Ada", "requests_per_day": 100, "budget_usd_per_day": "100.00", **account}
    made = (await admin.post("/accounts", json=wanted)).json()
    answer = await admin.post(f"/accounts/{made['account_id']}/keys", json=key or {})
    assert answer.status_code == 201, answer.text
    return Held(admin, world, made, answer.json())


# --- balances -------------------------------------------------------------------------------------------------------


async def test_a_grant_asked_for_again_is_neither_new_nor_in_the_trail_twice(
    admin: httpx.AsyncClient, world: World
) -> None:
    account = await held(admin, world)
    first = await account.grant("invoice-7", "25.00")
    again = await account.grant("invoice-7", "25.00")
    assert (first.pop("new"), again.pop("new")) == (True, False)
    assert first == again
    assert (await account.balance())["granted_usd"] == "25.00"
    trail = (await admin.get("/audit")).json()["changes"]
    assert [change["action"] for change in trail].count("grant") == 1


async def test_of_many_who_make_one_grant_at_once_one_has_made_it(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world)
    answers = await asyncio.gather(*(account.grant("invoice-7", "25.00") for _ in range(8)))
    assert sorted(answer["new"] for answer in answers) == [False] * 7 + [True]
    assert (await account.balance())["remaining_usd"] == "25.00"


async def test_an_id_stands_for_one_amount(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world)
    await account.grant("invoice-7", "25.00")
    assert (await account.grant("invoice-7", "26.00", 409))["error"]["param"] == "grant_id"
    assert (await account.grant("invoice-7", "25.00", 409, correction=True))["error"]["param"] == "grant_id"
    assert (await account.balance())["granted_usd"] == "25.00"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount_usd": "-1.00"}, "amount_usd"),
        ({"amount_usd": "0"}, "amount_usd"),
        ({"amount_usd": "1e3"}, "amount_usd"),
        ({"grant_id": ""}, "grant_id"),
        ({"grant_id": "a b"}, "grant_id"),
        ({"reason": " "}, "reason"),
        ({"not_after_unix_s": 1_794_999_999}, "not_after_unix_s"),
    ],
)
async def test_grants_that_are_negative_or_expired_or_unnamed_are_refused(
    admin: httpx.AsyncClient, world: World, fields: dict[str, Any], param: str
) -> None:
    account = await held(admin, world)
    body = {"grant_id": "g", "amount_usd": "1.00", "reason": "paid", **fields}
    answer = await admin.post(f"/accounts/{account.id}/grants", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert await account.balance() == {
        "account_id": account.id,
        **dict.fromkeys(("granted_usd", "spent_usd", "in_flight_usd", "remaining_usd"), "0.00"),
        "grants": [],
    }
    nobody = await admin.post("/accounts/acct_nobody/grants", json=body | {"amount_usd": "1.00"})
    assert nobody.status_code in {400, 404}


async def test_no_more_is_taken_back_than_is_left(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world, budget_usd_per_day="0.00")
    await account.grant("g1", "3.00")
    assert (await account.chat()).status_code == 200
    error = (await account.grant("c1", "2.000000001", 409, correction=True))["error"]
    assert "Only 2.00 USD" in error["message"]
    await account.grant("c2", "2.00", correction=True)
    balance = await account.balance()
    assert (balance["granted_usd"], balance["spent_usd"], balance["remaining_usd"]) == ("1.00", "1.00", "0.00")
    assert (await account.chat()).status_code == 429


async def test_a_balance_is_spent_after_the_day_and_shown_until_nothing_is_left(
    admin: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    account = await held(admin, world, budget_usd_per_day="2.00")
    await account.grant("g", "2.00")
    answers = [await account.chat() for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    assert answers[3].headers["x-jatevo-prepaid-remaining-usd"] == "0.00"
    error = refused(answers[4], 429, "budget_exhausted", kind=QUOTA)
    assert "$0.00 of the prepaid balance" in error["message"]
    assert error["resets_at"] == day_over(clock)
    rows = {
        row["limit_window"]: row for row in (await account.usage()).json()["limits"] if row["limit_type"] != "requests"
    }
    assert (rows["daily"]["current_value"], rows["prepaid"]["current_value"]) == ("2.00", "2.00")
    assert (rows["prepaid"]["remaining_value"], rows["prepaid"]["reset_at"]) == ("0.00", None)

    clock.advance(86_400)
    assert (await account.chat()).status_code == 200, "the day's budget is new"
    assert (await account.balance())["spent_usd"] == "2.00"


async def test_a_quota_of_requests_binds_whatever_pays(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world, requests_per_day=1, budget_usd_per_day="0.00")
    await account.grant("g", "100.00")
    assert (await account.chat()).status_code == 200
    refused(await account.chat(), 429, "request_quota_exhausted", kind=QUOTA)


# --- minutes and months ---------------------------------------------------------------------------------------------


def day_over(clock: ManualClock) -> int:
    return period_end_unix_s(utc_day(clock.now_ms() // 1000)) or 0


def month_over(clock: ManualClock) -> int:
    return period_end_unix_s(utc_month(clock.now_ms() // 1000)) or 0


def told_when(answer: httpx.Response, error: dict[str, Any], at: int, clock: ManualClock) -> None:
    """Check that a refusal names one instant everywhere."""
    assert answer.headers["retry-after"] == str(at - clock.now_ms() // 1000)
    assert error["resets_at"] == at
    assert iso_instant(at) in error["message"]


async def test_a_minutes_rate_refuses_until_that_minute_is_over(
    admin: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    account = await held(admin, world)
    await account.set(requests_per_minute=3)
    over = period_end_unix_s(utc_minute(clock.now_ms() // 1000)) or 0
    assert [(await account.chat()).status_code for _ in range(3)] == [200] * 3
    clock.advance(7)
    answer = await account.chat()

    error = refused(answer, 429, "rate_limit_exceeded", kind=RATE)
    told_when(answer, error, over, clock)
    assert answer.headers["x-ratelimit-limit-requests"] == "3"
    assert answer.headers["x-ratelimit-reset-requests"] == f"{over - clock.now_ms() // 1000}s"
    assert "x-should-retry" not in answer.headers
    clock.at_ms = over * 1000 - 1
    assert (await account.chat()).status_code == 429
    clock.at_ms = over * 1000
    assert (await account.chat()).status_code == 200
    await account.set(requests_per_minute=None)
    assert [(await account.chat()).status_code for _ in range(4)] == [200] * 4


@pytest.mark.parametrize(
    ("quota", "code"),
    [({"requests_per_month": 2}, "request_quota_exhausted"), ({"budget_usd_per_month": "2.00"}, "budget_exhausted")],
)
async def test_a_months_quota_refuses_until_the_month_is_over(
    admin: httpx.AsyncClient, world: World, clock: ManualClock, quota: dict[str, Any], code: str
) -> None:
    account = await held(admin, world)
    await account.set(**quota)
    assert [(await account.chat()).status_code for _ in range(2)] == [200, 200]
    clock.advance(86_400)
    answer = await account.chat()

    error = refused(answer, 429, code, kind=QUOTA)
    told_when(answer, error, month_over(clock), clock)
    assert "monthly" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    raised = {name: 3 if isinstance(value, int) else "3.00" for name, value in quota.items()}
    await account.set(**raised)
    assert [(await account.chat()).status_code for _ in range(2)] == [200, 429]
    clock.at_ms = month_over(clock) * 1000
    assert (await account.chat()).status_code == 200


async def test_each_reset_is_that_of_the_counter_beside_it(
    admin: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    """Requests are stopped first by the day, dollars first by the month: a client is told both, apart."""
    account = await held(admin, world, requests_per_day=5, budget_usd_per_month="20.00")
    now = clock.now_ms() // 1000
    for answer in (await account.chat(), await account.usage()):
        assert answer.headers["x-ratelimit-limit-requests"] == "5"
        assert answer.headers["x-ratelimit-reset-requests"] == f"{day_over(clock) - now}s"
        assert answer.headers["x-jatevo-budget-limit-usd"] == "20.00"
        assert answer.headers["x-jatevo-reset-at"] == iso_instant(month_over(clock))


async def test_a_monthly_limit_that_stops_nothing_first_moves_no_reset(
    admin: httpx.AsyncClient, world: World, clock: ManualClock
) -> None:
    account = await held(admin, world, requests_per_month=10_000, budget_usd_per_month="5000.00")
    answer = await account.chat()
    assert answer.headers["x-jatevo-reset-at"] == iso_instant(day_over(clock))
    assert answer.headers["x-ratelimit-reset-requests"] == f"{day_over(clock) - clock.now_ms() // 1000}s"


# --- resold keys ----------------------------------------------------------------------------------------------------


async def test_a_resold_keys_user_sees_the_resellers_price_and_the_books_keep_all_three(
    admin: httpx.AsyncClient, world: World
) -> None:
    key = {"reseller_margin_bps": 5000, "budget_usd_per_day": "10.00", "labels": {"customer": "Bob & Söhne"}}
    account = await held(admin, world, margin_bps=1000, key=key)
    answer = await account.chat()

    assert answer.json()["usage"]["cost_usd"] == "1.65"
    assert answer.headers["x-jatevo-budget-limit-usd"] == "10.00"
    assert answer.headers["x-jatevo-budget-remaining-usd"] == "8.35"
    used = (await account.usage()).json()
    assert used["total_cost_usd"] == "1.65"
    assert used["key"]["budget_spent_usd"] == "1.65"
    assert [used["account"][name] for name in ("budget_limit_usd", "budget_remaining_usd")] == [None, None]
    [entry] = (await admin.get(f"/accounts/{account.id}/ledger")).json()["entries"]
    figures = [entry[f"{name}_nano_usd"] for name in ("cost", "margin", "charge", "reseller_margin")]
    assert figures == [1_000_000_000, 100_000_000, 1_100_000_000, 550_000_000]
    window = (await admin.get(f"/accounts/{account.id}/window")).json()
    assert window["settled_usd"] == "1.10"


async def test_a_resellers_own_dollars_are_not_told_to_its_customers(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world, budget_usd_per_day="1.00", reseller_margin_bps=0)
    assert (await account.chat()).status_code == 200
    answer = await account.chat()
    error = refused(answer, 429, "budget_exhausted", kind=QUOTA)
    assert "$" not in error["message"]
    assert not {"projected_cost_usd", "budget_remaining_usd"} & error.keys()
    assert not [name for name in answer.headers if "budget" in name or "prepaid" in name]


async def test_labels_are_kept_and_bounded(admin: httpx.AsyncClient, world: World) -> None:
    account = await held(admin, world, key={"labels": {"customer": "Bob", "plan": "gold"}})
    assert account.key["labels"] == {"customer": "Bob", "plan": "gold"}
    path = f"/keys/{account.key['key_id']}"
    assert (await admin.patch(path, json={"name": "n"})).json()["labels"] == {"customer": "Bob", "plan": "gold"}
    for bad in ({"a b": "x"}, {"": "x"}, {"a": "x" * 101}, {"a": "\n"}, {f"l{place}": "x" for place in range(11)}):
        answer = await admin.patch(path, json={"labels": bad})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "labels")
    assert (await admin.patch(path, json={"labels": None})).json()["labels"] == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"requests_per_minute": -1},
        {"requests_per_month": -1},
        {"budget_usd_per_month": "-1.00"},
        {"reseller_margin_bps": -1},
        {"requests_per_minute": 10**7},
    ],
)
async def test_quotas_out_of_bounds_are_refused_by_name(
    admin: httpx.AsyncClient, world: World, fields: dict[str, Any]
) -> None:
    account = await held(admin, world)
    answer = await admin.patch(f"/accounts/{account.id}", json=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, *fields)

"""The books are held against the ledger: by an operator on any day, by the schedule once a day is over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, Held, ScriptedUpstream, answering, usage
from jatevo_testing.world import MODEL, USD, Customer, World

from jatevo.application import day_audits
from jatevo.application.day_audits import DayReport
from jatevo.bootstrap import Settings
from jatevo.domain.accounts import account_window
from jatevo.domain.calendar import DAY_S
from jatevo.domain.reconciliation import Counter
from jatevo.domain.windows import Limits, Window, WindowKey
from jatevo_admin.handler import create_app as admin_app

TOKEN = "an operator's token, long enough"
LANE = {"id": "gold", "requests_per_day": 100, "budget_usd_per_day": "100.00"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(autouse=True)
def last_two_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happened before."""
    monkeypatch.setattr(day_audits, "_DAYS_BACK", 2)


@pytest.fixture
async def world(dynoxide: str, upstream: ScriptedUpstream, clock: ManualClock) -> AsyncIterator[World]:
    with fresh_tables(dynoxide) as names:
        settings = Settings(directory_keep_ms=0, operator_token=TOKEN)
        made = World(dynoxide, names.windows.removesuffix("-windows"), settings, clock)
        pool = {"id": "main", "base_url": upstream.base_url, "api_key": "env:POOL_KEY"}
        made.put_catalogue({"pools": [pool], "lanes": [LANE], "models": [MODEL]})
        upstream.script = answering("hello", usage(10, 20))
        yield made
        await made.close()


@pytest.fixture
async def admin(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(admin_app(world.gateway))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/admin/v1", headers=headers) as client:
        yield client


async def audited(admin: httpx.AsyncClient, customer: Customer, day: str) -> dict[str, Any]:
    answer = await admin.get(f"/accounts/{customer.account.id}/audit", params={"day": day})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def corrupt(world: World, owner: str, period: str, name: str, by: int) -> None:
    """Move one counter behind everybody's back."""
    world.dynamodb.update_item(
        TableName=world.names.windows,
        Key={"owner": {"S": owner}, "period": {"S": period}},
        UpdateExpression="ADD #counter :by",
        ExpressionAttributeNames={"#counter": name},
        ExpressionAttributeValues={":by": {"N": str(by)}},
    )


async def busy_customer(world: World, admin: httpx.AsyncClient) -> Customer:
    """Somebody whose requests hold in every kind of window."""
    customer = world.customer(
        requests=50,
        caps=Limits(requests=40, budget_nano_usd=USD),
        monthly=Limits(requests=100, budget_nano_usd=USD),
        requests_per_minute=60,
        lanes=frozenset({"gold"}),
        reseller_margin_bps=2000,
    )
    grant = {"grant_id": "g1", "amount_usd": "3.00", "reason": "test"}
    assert (await admin.post(f"/accounts/{customer.account.id}/grants", json=grant)).status_code == 201
    for model in ("test-model", "gold/test-model"):
        assert (await world.chat(customer, model=model)).status_code == 200
    return customer


async def test_books_that_followed_the_protocol_agree_in_every_kind_of_window(
    world: World, admin: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    customer = await busy_customer(world, admin)
    upstream.script = refusing
    assert (await world.chat(customer)).status_code >= 500
    upstream.script = answering("hello", usage(10, 20))
    # What remains of the month no longer bears a request: it is paid from the balance.
    await admin.patch(f"/accounts/{customer.account.id}", json={"budget_usd_per_month": "0.000001"})
    assert (await world.chat(customer, max_tokens=2000)).status_code == 200
    found = await audited(admin, customer, world.today())
    kinds = {window["kind"]: window for window in found["windows"]}
    assert set(kinds) == {"account", "key", "month", "prepaid"}
    assert kinds["prepaid"]["due_settled_nano_usd"] > 0
    assert kinds["account"]["due_requests"] == 3
    assert (found["differences"], found["busy"], found["entries"] >= 4) == ([], False, True)


async def refusing(_asked: Asked, connection: Connection) -> None:
    await connection.reply(500, b"{}")


async def test_a_request_under_way_is_no_difference_decided_or_not(
    world: World, admin: httpx.AsyncClient, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = world.customer()
    held = Held(answering("hello", usage(10, 20)))
    upstream.script = held
    under_way = asyncio.create_task(world.chat(customer))
    await held.asked.wait()
    found = await audited(admin, customer, world.today())
    assert (found["differences"], found["entries"]) == ([], 0)

    async def never(*_arguments: object, **_more: object) -> bool:
        return True

    monkeypatch.setattr(world.gateway.windows, "settle", never)  # decided, and the handler is gone
    held.go_on.set()
    assert (await under_way).status_code == 200
    found = await audited(admin, customer, world.today())
    assert (found["differences"], found["entries"]) == ([], 1)
    [window] = found["windows"]
    assert (window["due_requests"], window["due_settled_nano_usd"]) == (0, 0)


@pytest.mark.parametrize(
    ("attribute", "counter"),
    [
        ("settled", Counter.SETTLED),
        ("requests_left", Counter.REQUESTS),
        ("budget_left", Counter.BALANCE),
        ("exposed", Counter.EXPOSED),
    ],
)
async def test_a_counter_that_was_moved_is_named_and_corrected_on_record(
    world: World, admin: httpx.AsyncClient, attribute: str, counter: Counter
) -> None:
    customer = world.customer()
    assert (await world.chat(customer)).status_code == 200
    before = await world.window(customer)
    corrupt(world, customer.account.id, world.today(), attribute, 7)
    found = (await audited(admin, customer, world.today()))["differences"]
    assert counter in {one["counter"] for one in found}
    path = f"/accounts/{customer.account.id}/corrections"
    body = {"day": world.today(), "reason": "a counter was moved"}
    [made] = (await admin.post(path, json=body)).json()["corrections"]
    assert (made["operator"], made["reason"]) == ("first", "a counter was moved")
    after = await world.window(customer)
    assert (after.settled_nano_usd, after.requests_left, after.budget_left_nano_usd, after.exposed_nano_usd) == (
        before.settled_nano_usd,
        before.requests_left,
        before.budget_left_nano_usd,
        before.exposed_nano_usd,
    )
    assert (await audited(admin, customer, world.today()))["differences"] == []
    assert (await admin.post(path, json=body)).json() == {"corrections": []}, "nothing is left to correct"
    assert (await admin.get(path)).json()["corrections"] == [made]
    [change] = (await admin.get("/audit")).json()["changes"]
    assert (change["action"], change["subject"]) == ("books.correct", customer.account.id)
    assert len(await world.ledger(customer)) == 1, "what was decided stands as it was"


async def test_a_balance_that_was_moved_is_corrected_to_what_was_granted_and_paid(
    world: World, admin: httpx.AsyncClient
) -> None:
    customer = await busy_customer(world, admin)
    corrupt(world, f"{customer.account.id}/prepaid", "always", "budget_limit", USD)
    counters = {one["counter"] for one in (await audited(admin, customer, world.today()))["differences"]}
    assert counters == {"granted_nano_usd"}
    body = {"day": world.today(), "reason": "the balance was moved"}
    assert (await admin.post(f"/accounts/{customer.account.id}/corrections", json=body)).status_code == 201
    assert (await audited(admin, customer, world.today()))["differences"] == []
    balance = (await admin.get(f"/accounts/{customer.account.id}/grants")).json()
    assert (balance["granted_usd"], balance["remaining_usd"]) == ("3.00", "3.00")


async def test_a_grant_made_while_the_audit_looks_is_no_difference(
    world: World, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await busy_customer(world, admin)
    read, looks = world.gateway.windows.read, 0

    async def granting(key: WindowKey) -> Window | None:
        nonlocal looks
        window = await read(key)
        looks += key.owner.endswith("/prepaid")
        if looks == 2:  # the balance was read, to be held against what was granted
            looks += 1
            grant = {"grant_id": "g2", "amount_usd": "1.00", "reason": "just now"}
            assert (await admin.post(f"/accounts/{customer.account.id}/grants", json=grant)).status_code == 201
        return window

    monkeypatch.setattr(world.gateway.windows, "read", granting)
    found = await audited(admin, customer, world.today())
    assert (found["differences"], found["busy"], looks > 2) == ([], False, True)


@pytest.mark.parametrize("reason", ["", " ", "x" * 301, "two\nlines"])
async def test_a_correction_says_why(world: World, admin: httpx.AsyncClient, reason: str) -> None:
    customer = world.customer()
    answer = await admin.post(
        f"/accounts/{customer.account.id}/corrections", json={"day": world.today(), "reason": reason}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "reason")


async def test_what_cannot_be_audited_is_said(world: World, admin: httpx.AsyncClient) -> None:
    customer = world.customer()
    assert (await admin.get("/accounts/acct_nobody/audit", params={"day": world.today()})).status_code == 404
    assert (await admin.get(f"/accounts/{customer.account.id}/audit", params={"day": "today"})).status_code == 400
    assert (await admin.get(f"/audits/{world.today()}")).status_code == 404


# The schedule.


async def run(world: World, **arguments: Any) -> DayReport | None:
    return await world.gateway.day_audits().run(**arguments)


async def test_the_schedule_audits_each_finished_day_once_lanes_included(
    world: World, admin: httpx.AsyncClient, clock: ManualClock
) -> None:
    customer = await busy_customer(world, admin)
    day = world.today()
    plain = world.customer()
    assert (await world.chat(plain)).status_code == 200
    while (earlier := await run(world)) is not None:
        assert (earlier.complete, earlier.entries) == (True, 0)
        assert earlier.day < day, "a day is audited once it is over for sure"
    clock.advance(DAY_S)
    assert world.today() > day
    report = await run(world)
    assert report is not None
    assert (report.day, report.complete, report.accounts, report.difference_count) == (day, True, 2, 0)
    assert report.lanes, "what was used in a lane was summed over accounts"
    charged = sum(tally.charge_nano_usd for tally in report.tallies.values())
    assert charged == sum(
        entry.figures.charge_nano_usd
        for one in [await world.gateway.ledger.entries(one.account.id, day) for one in (customer, plain)]
        for entry in one
    )
    shown = (await admin.get(f"/audits/{day}")).json()
    assert (shown["complete"], shown["difference_count"], shown["total"]["requests"]) == (True, 0, 3)


async def test_a_run_that_is_cut_short_is_continued_and_what_differs_is_reported(
    world: World, admin: httpx.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_audits, "_ACCOUNTS_A_PAGE", 2)
    customers = [world.customer(lanes=frozenset({"gold"})) for _ in range(5)]
    for customer in customers:
        assert (await world.chat(customer, model="gold/test-model")).status_code == 200
    day = world.today()
    clock.advance(2 * DAY_S)
    while (report := await run(world)) is not None and report.day < day:
        pass
    assert report is None or report.day == day
    world.dynamodb.delete_item(TableName=world.names.rollups, Key={"account_id": {"S": "audit"}, "period": {"S": day}})
    corrupt(world, customers[3].account.id, day, "settled", 5)
    corrupt(world, "lane/gold", day, "requests_left", 1)
    seen = []
    for _ in range(4):
        left = iter([True, False])
        report = await run(world, has_time=lambda left=left: next(left))
        assert report is not None
        seen.append(report.accounts)
        if report.complete:
            break
    assert seen == [2, 4, 5]
    assert report is not None
    found = {(one.window.owner, one.counter) for one in report.differences}
    assert found == {
        (customers[3].account.id, Counter.SETTLED),
        ("lane/gold", Counter.REQUESTS),
    }
    assert (await admin.get(f"/audits/{day}")).json()["difference_count"] == 2
    body = {"day": day, "reason": "a drill"}
    corrected = (await admin.post("/lanes/gold/corrections", json=body)).json()["corrections"]
    [told] = [(one["account_id"], one["window"], one["after"]["requests_left"]) for one in corrected]
    assert told == (None, "lane/gold", 95), "a lane is nobody's account"
    assert (await admin.get("/lanes/gold/corrections")).json()["corrections"] == corrected
    assert (await admin.post("/lanes/gold/corrections", json=body)).json() == {"corrections": []}, "it agrees now"
    corrupt(world, "lane/gold", day, "settled", 5)
    late = await admin.post("/lanes/gold/corrections", json=body)
    assert late.status_code == 409, "what came after the audit is not undone by it"
    assert (await admin.post("/lanes/silver/corrections", json=body)).status_code == 404, "nobody used such a lane"


async def test_a_lane_is_not_corrected_before_its_day_was_audited(
    world: World, admin: httpx.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_audits, "_ACCOUNTS_A_PAGE", 1)
    for _ in range(2):
        await world.chat(world.customer(lanes=frozenset({"gold"})), model="gold/test-model")
    body = {"day": world.today(), "reason": "too early"}
    assert (await admin.post("/lanes/gold/corrections", json=body)).status_code == 404
    clock.advance(2 * DAY_S)
    left = iter([True, False])
    report = await run(world, has_time=lambda: next(left))
    assert report is not None
    assert report.day == body["day"]
    assert not report.complete
    assert (await admin.post("/lanes/gold/corrections", json=body)).status_code == 409


async def test_of_two_runs_that_race_one_gives_way(world: World, clock: ManualClock) -> None:
    customers = [world.customer() for _ in range(3)]
    for customer in customers:
        assert (await world.chat(customer)).status_code == 200
    day = world.today()
    clock.advance(2 * DAY_S)
    while (await asyncio.gather(*(run(world) for _ in range(3))))[0] is not None:
        pass
    report = await world.gateway.day_audits().report(day)
    assert report is not None
    assert (report.complete, report.accounts, report.entries) == (True, 3, 3)


async def test_what_all_accounts_came_to_is_their_ledgers_sum(world: World, admin: httpx.AsyncClient) -> None:
    customers = [world.customer() for _ in range(3)]
    for customer in customers[:2]:
        assert (await world.chat(customer)).status_code == 200
    pages, after = [], None
    while True:
        page = (await admin.get("/statements", params={"limit": 1} | ({"after": after} if after else {}))).json()
        pages += page["accounts"]
        after = page["next"]
        if after is None:
            break
    assert {one["account_id"] for one in pages} == {customer.account.id for customer in customers[:2]}
    for one in pages:
        statement = (await admin.get(f"/accounts/{one['account_id']}/statement")).json()
        assert (one["total"], one["models"]) == (statement["total"], statement["models"])


async def test_a_balance_remembers_finished_days_and_still_agrees(
    world: World, admin: httpx.AsyncClient, clock: ManualClock
) -> None:
    customer = world.customer(budget_nano_usd=1)
    grant = {"grant_id": "g1", "amount_usd": "3.00", "reason": "test"}
    assert (await admin.post(f"/accounts/{customer.account.id}/grants", json=grant)).status_code == 201
    for _ in range(3):
        assert (await world.chat(customer)).status_code == 200
        assert (await audited(admin, customer, world.today()))["differences"] == []
        clock.advance(2 * DAY_S)
    today = world.today()
    assert await world.gateway.windows.read(account_window(customer.account.id, today)) is None
    found = await audited(admin, customer, today)
    [balance] = [window for window in found["windows"] if window["kind"] == "prepaid"]
    spent = (await admin.get(f"/accounts/{customer.account.id}/grants")).json()["spent_usd"]
    assert balance["due_settled_nano_usd"] == round(float(spent) * USD) > 0
    assert found["differences"] == []

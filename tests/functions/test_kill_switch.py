"""The service stopped and resumed: by an operator, and by the ceiling of the day."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest
from jatevo_testing.clocks import AheadClock
from jatevo_testing.served import served
from jatevo_testing.upstream import ScriptedUpstream
from jatevo_testing.world import USD, World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.meter import NoMeter
from jatevo.application.spending import measure_spending
from jatevo.bootstrap import Gateway, Settings
from jatevo.domain.calendar import DAY_S
from jatevo.domain.metrics import Metric
from jatevo_admin.handler import create_app

TOKEN = "an-operators-token-of-tests-only"
FLAT: dict[str, Any] = {"price": {"input": "0", "output": "0", "request": "1.00"}}
"""Each request costs one dollar before margin."""


@pytest.fixture
async def admin(flat: World) -> AsyncIterator[httpx.AsyncClient]:
    gateway = Gateway(
        replace(flat.settings, operator_token=TOKEN, day_ceiling_usd="5.00"), {}, clock=flat.gateway.clock
    )
    headers = {"authorization": f"Bearer {TOKEN}"}
    transport = httpx.ASGITransport(create_app(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://a/admin/v1", headers=headers) as client:
        yield client
    gateway.close()


@pytest.fixture
async def flat(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream) -> AsyncIterator[World]:
    settings = Settings(directory_keep_ms=0, day_ceiling_usd="5.00")
    made = World(dynoxide, tables.windows.removesuffix("-windows"), settings, AheadClock())
    made.apply_catalogue({**_MODEL, **FLAT}, base_url=upstream.base_url)
    yield made
    await made.close()


_MODEL: dict[str, Any] = {
    "id": "test-model",
    "context_window": 8192,
    "max_output_tokens": 2048,
    "routes": [{"pool": "main", "model": "m"}],
}


class Told(NoMeter):
    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def add(self, metric: Metric, value: int = 1, label: str = "") -> None:
        self.values[metric.name] = value


async def test_an_operator_stops_and_resumes_it_and_both_are_in_the_audit_trail(
    flat: World, admin: httpx.AsyncClient
) -> None:
    customer = flat.customer(margin_bps=0, budget_nano_usd=100 * USD, requests=100)
    assert (await flat.chat(customer)).status_code == 200
    stopped = (await admin.post("/service/stop", json={"reason": "a key leaked"})).json()
    assert (stopped["taking_requests"], stopped["stopped_because"]) == (False, "a key leaked")

    answer = await flat.chat(customer)

    assert answer.status_code == 503
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("api_error", "service_paused")
    assert "leaked" not in answer.text, "what an operator wrote is for operators"
    assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("false", "300")
    assert len(await flat.ledger(customer)) == 1, "nothing was reserved"
    assert (await admin.post("/service/resume", json={"reason": "replaced"})).json()["taking_requests"]
    assert (await flat.chat(customer)).status_code == 200
    assert (await admin.post("/service/resume", json={"reason": "again"})).status_code == 409
    assert (await admin.post("/service/stop", json={"reason": " "})).status_code == 400
    actions = [change["action"] for change in (await admin.get("/audit")).json()["changes"]]
    assert actions == ["service.resume", "service.stop"]


async def test_clients_do_not_resend_to_a_service_that_is_stopped(flat: World, admin: httpx.AsyncClient) -> None:
    await admin.post("/service/stop", json={"reason": "test"})
    async with served(flat.app) as url:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=flat.customer().secret)
        with pytest.raises(openai.InternalServerError) as stopped:
            await client.chat.completions.create(model="test-model", messages=[{"role": "user", "content": "hello"}])
        await client.close()
    assert stopped.value.status_code == 503
    assert stopped.value.body == {"message": stopped.value.body["message"], **_PAUSED}  # type: ignore[index]


_PAUSED = {"type": "api_error", "param": None, "code": "service_paused"}


async def test_the_ceiling_stops_it_until_midnight_or_until_it_is_raised(flat: World, admin: httpx.AsyncClient) -> None:
    spend = flat.gateway.daily_spend()
    customers = [flat.customer(margin_bps=0, budget_nano_usd=100 * USD, requests=100) for _ in range(3)]
    for customer in customers[:2] * 2:
        assert (await flat.chat(customer)).status_code == 200
    below = await spend.run()
    assert (below.spent_nano_usd, below.pause) == (4 * USD, None)
    assert (await flat.chat(customers[2])).status_code == 200
    reached, told = await spend.run(), Told()
    measure_spending(reached, told)
    assert told.values == {"DaySpendNanoUsd": 5 * USD, "DaySpendPercent": 100, "Paused": 1}
    answer = await flat.chat(customers[0])
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_paused")
    assert 0 < int(answer.headers["retry-after"]) <= DAY_S

    assert (await admin.post("/service/resume", json={"reason": "test"})).status_code == 409
    raised = (await admin.put("/service/ceiling", json={"usd": "6.00", "reason": "a busy day"})).json()
    assert (raised["taking_requests"], raised["spent_today_usd"], raised["ceiling_usd"]) == (True, "5.00", "6.00")
    assert (await flat.chat(customers[0])).status_code == 200
    assert (await spend.run()).pause is not None
    clock = flat.gateway.clock
    assert isinstance(clock, AheadClock)
    clock.advance(DAY_S)
    assert (await flat.chat(customers[0])).status_code == 200, "the next day begins with nothing spent"
    assert (await spend.run()).spent_nano_usd == USD
    lifted = (await admin.put("/service/ceiling", json={"usd": "0.00", "reason": "none at all"})).json()
    assert lifted["ceiling_usd"] is None


async def test_what_many_spend_at_once_is_added_up_exactly_and_again_after_the_sweeper(
    flat: World, admin: httpx.AsyncClient
) -> None:
    await admin.put("/service/ceiling", json={"usd": "0.00", "reason": "none at all"})
    customers = [flat.customer(margin_bps=1000, budget_nano_usd=100 * USD, requests=100) for _ in range(8)]
    spend, sweeper = flat.gateway.daily_spend(), flat.gateway.sweeper()
    clock = flat.gateway.clock
    assert isinstance(clock, AheadClock)
    for round_ in range(1, 3):
        answers = await asyncio.gather(*(flat.chat(customer) for customer in customers))
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        entries = [entry for one in customers for entry in await flat.ledger(one)]
        charged = sum(entry.figures.charge_nano_usd for entry in entries)
        assert (await spend.run()).spent_nano_usd == charged == round_ * 8 * 11 * USD // 10
        assert (await spend.run()).spent_nano_usd == charged, "looking again adds nothing"
        clock.advance(700)
        await sweeper.run()
        assert (await spend.run()).spent_nano_usd == charged, "windows that are no more in use still count"


async def test_what_a_prepaid_balance_pays_for_counts_on_the_day_it_is_spent(
    flat: World, admin: httpx.AsyncClient
) -> None:
    customer = flat.customer(margin_bps=0, budget_nano_usd=0, requests=100)
    spend = flat.gateway.daily_spend()
    grant = {"grant_id": "g", "amount_usd": "50.00", "reason": "test"}
    assert (await admin.post(f"/accounts/{customer.account.id}/grants", json=grant)).is_success
    assert (await flat.chat(customer)).status_code == 200
    await spend.run()  # the first look at a balance learns what it had settled before
    for _ in range(2):
        assert (await flat.chat(customer)).status_code == 200
    assert (await spend.run()).spent_nano_usd == 2 * USD

"""Runs of the oracle on a real engine: together or late, they make one chain of decisions."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from jatevo_testing.clocks import ManualClock
from jatevo_testing.oracles import MINUTE, P, heard

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.prices import DynamoPrices
from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.application.administration.prices import PriceAdministration
from jatevo.application.price_updates import LATE, PriceUpdates
from jatevo.domain.market import MarketState, Reason
from jatevo.domain.price_rules import PriceRules
from jatevo.domain.prices import Heard
from jatevo_local.engine import REGION

RULES = PriceRules(sustain_s=0)


@dataclass
class Said:
    """A source that says a price, hangs, or fails."""

    name: str
    price: int | None = P
    gate: asyncio.Event | None = None
    error: Exception | None = None
    asked: list[int] = field(default_factory=list)

    async def observe(self, now_unix_s: int) -> Heard:
        self.asked.append(now_unix_s)
        if self.error is not None:
            raise self.error
        if self.gate is not None:
            await self.gate.wait()
        [one] = heard(self.price, at_unix_s=now_unix_s)
        return replace(one, source=self.name)


@dataclass
class Stage:
    """A store and a clock; runs of any sources over them."""

    store: DynamoPrices
    clock: ManualClock

    def updates(self, *sources: Said, deadline_s: float = 5) -> PriceUpdates:
        return PriceUpdates(sources, self.store, self.clock, RULES, deadline_s=deadline_s)

    def agreeing(self, price: int = P) -> PriceUpdates:
        return self.updates(Said("a", price), Said("b", price))


@pytest.fixture
async def stage(dynoxide: str, tables: TableNames) -> AsyncIterator[Stage]:
    client = DynamoClient(ClientOptions(region=REGION, endpoint_url=dynoxide))
    yield Stage(DynamoPrices(client, tables, history_days=90), ManualClock())
    client.close()


async def test_a_run_asks_decides_stores_and_says_what_it_did(stage: Stage) -> None:
    report = await stage.updates(Said("a"), Said("b"), Said("c", None)).run()
    assert (report.reason, report.state, report.price_pico_usd) == (Reason.SUSTAINED, MarketState.OK, P)
    assert (report.agreed, report.asked, report.alarming) == (2, 3, False)
    [line] = await stage.store.history(limit=9)
    assert (line.reason, line.previous_state, line.state) == ("sustained", "stale", "ok")
    assert [(one.source, one.standing) for one in line.witnesses] == [("a", "agreed"), ("b", "agreed"), ("c", "silent")]


async def test_two_runs_of_one_moment_give_one_result(stage: Stage) -> None:
    reports = await asyncio.gather(*(stage.agreeing().run() for _ in range(6)))
    assert {report.reason for report in reports} <= {Reason.SUSTAINED, LATE}
    assert {report.price_pico_usd for report in reports} == {P}
    assert len(await stage.store.history(limit=9)) == 1


async def test_runs_of_several_moments_are_put_one_behind_the_other(stage: Stage) -> None:
    async def run(number: int) -> str:
        clock = ManualClock(stage.clock.at_ms + number)
        return (await PriceUpdates([Said("a"), Said("b")], stage.store, clock, RULES).run()).reason

    reasons = await asyncio.gather(*(run(number) for number in range(6)))
    lines = await stage.store.history(limit=9)
    assert len(lines) == sum(reason != LATE for reason in reasons) >= 1
    assert (await stage.store.read()).at_ms == lines[0].at_ms == stage.clock.at_ms + 5
    for later, earlier in itertools.pairwise(lines):
        assert later.previous_effective_pico_usd == earlier.effective_pico_usd


async def test_a_run_that_began_earlier_never_overwrites_a_newer_one(stage: Stage) -> None:
    gate = asyncio.Event()
    slow = stage.updates(Said("a", 7 * P, gate), Said("b", 7 * P))
    late = asyncio.create_task(slow.run())
    await asyncio.sleep(0)
    stage.clock.advance(MINUTE)
    assert (await stage.agreeing().run()).reason == Reason.SUSTAINED
    gate.set()
    report = await late
    assert (report.reason, report.price_pico_usd) == (LATE, P)
    assert (await stage.store.read()).market.price_pico_usd == P


async def test_an_operators_rate_and_a_run_that_race_both_stand(stage: Stage) -> None:
    await stage.agreeing().run()
    stage.clock.advance(5 * MINUTE)
    operators = PriceAdministration(stage.store, stage.clock, RULES)
    expires = stage.clock.now_ms() // 1000 + 3600
    await asyncio.gather(stage.agreeing().run(), operators.set_rate("0.002", expires, "why", "ada"))
    view = await operators.show()
    assert view.quote.price_pico_usd == P // 5
    assert [line.operator for line in await stage.store.history(limit=9, audit=True)] == ["ada"]
    stage.clock.advance(5 * MINUTE)
    assert (await stage.agreeing().run()).price_pico_usd == P // 5


async def test_a_source_that_hangs_or_fails_keeps_no_other_from_being_heard(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    hanging, failing = Said("c", gate=asyncio.Event()), Said("d", error=RuntimeError("a bug"))
    report = await stage.updates(Said("a"), Said("b"), hanging, failing, deadline_s=0.05).run()
    assert (report.reason, report.agreed) == (Reason.SUSTAINED, 2)
    whys = {one.source: one.why for one in (await stage.store.read()).witnesses if one.why}
    assert whys == {"c": "timeout: no answer in 0.05 s", "d": "broken: RuntimeError"}


async def test_without_sources_a_run_keeps_what_there_is(stage: Stage) -> None:
    report = await stage.updates().run()
    assert (report.reason, report.state, report.price_pico_usd) == (Reason.KEPT_SILENCE, MarketState.STALE, None)
    assert report.alarming

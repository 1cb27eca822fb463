"""An upstream that lies about its tokens: nobody pays above the reservation, and no answer is free by accident."""

from typing import Any

import pytest
from jatevo_testing.bench import INPUT_NANO_USD, OUTPUT_NANO_USD, Bench, Told
from jatevo_testing.upstream import Asked, Connection, answering, chunk, completion, usage
from jatevo_testing.world import MODEL

from jatevo.domain.ledger import Outcome, Reason
from jatevo.domain.tokens import UsageSource

TEXT = "twelve bytes"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def answered(told: Told) -> None:
    assert told.seen.status == 200
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.ANSWERED)
    assert told.request_counted
    assert told.window.settled_nano_usd == told.entry.figures.charge_nano_usd > 0


NO_COUNTS: dict[str, Any] = {
    "none": None,
    "empty": {},
    "all zero": usage(0, 0),
    "prompt zero": usage(0, 20),
    "completion zero": usage(10, 0),
    "negative prompt": usage(-10, 20),
    "negative completion": usage(10, -20),
    "beyond any count": usage(10, 10**12),
    "beyond 64 bits": usage(10**30, 10),
    "text": {"prompt_tokens": "10", "completion_tokens": "20"},
    "fractions": {"prompt_tokens": 10.5, "completion_tokens": 20.5},
    "booleans": {"prompt_tokens": True, "completion_tokens": True},
    "a list": [10, 20],
    "a number": 30,
    "only a total": {"total_tokens": 30},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NO_COUNTS)
async def test_counts_that_cannot_be_are_replaced_by_an_estimate(bench: Bench, name: str, *, stream: bool) -> None:
    told = await bench.ask(answering(TEXT, NO_COUNTS[name]), stream=stream)

    answered(told)
    assert told.entry.usage_source is UsageSource.ESTIMATED
    assert 1 <= told.entry.usage.input_tokens <= 30
    assert 3 <= told.entry.usage.output_tokens <= 5
    assert told.entry.figures.overrun_nano_usd == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_an_estimate_leaves_the_answer_its_part_of_the_context(bench: Bench, *, stream: bool) -> None:
    """What is held is the most that both can come to in one context; no honest answer is estimated above."""
    told = await bench.ask(
        answering(TEXT, None), stream=stream, max_tokens=4, messages=[{"role": "user", "content": "four" * 8250}]
    )

    answered(told)
    assert told.entry.usage.total_tokens == MODEL["context_window"]
    assert told.entry.figures.overrun_nano_usd == 0


BELIEVED: dict[str, tuple[dict[str, Any], int, int]] = {
    "plain": (usage(10, 20), 10, 20),
    "reasoning counted apart": ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35}, 10, 25),
    "a total too small": ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 1}, 10, 20),
    "no total": ({"prompt_tokens": 10, "completion_tokens": 20}, 10, 20),
    "details that are none": (usage(10, 20, prompt_tokens_details="x", completion_tokens_details=[]), 10, 20),
    "details of null": (usage(10, 20, prompt_tokens_details={"cached_tokens": None}), 10, 20),
    "more reasoning than output": (usage(10, 20, completion_tokens_details={"reasoning_tokens": 99}), 10, 20),
    "the cap to the token": (usage(10, 100), 10, 100),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", BELIEVED)
async def test_counts_that_can_be_are_charged_to_the_nano_dollar(bench: Bench, name: str, *, stream: bool) -> None:
    reported, input_tokens, output_tokens = BELIEVED[name]

    told = await bench.ask(answering(TEXT, reported), stream=stream)

    answered(told)
    assert told.entry.usage_source is UsageSource.REPORTED
    assert (told.entry.usage.input_tokens, told.entry.usage.output_tokens) == (input_tokens, output_tokens)
    charge = input_tokens * INPUT_NANO_USD + output_tokens * OUTPUT_NANO_USD
    assert told.entry.figures.charge_nano_usd == charge
    assert told.entry.figures.overrun_nano_usd == 0


@pytest.mark.parametrize(("cached", "billed_as_cached"), [(4, 4), (10, 10), (10_000, 10), (-4, 0)])
async def test_more_cached_input_than_input_cannot_make_an_answer_cheaper_than_all_cached(
    bench: Bench, cached: int, billed_as_cached: int
) -> None:
    told = await bench.ask(answering(TEXT, usage(10, 20, prompt_tokens_details={"cached_tokens": cached})))

    answered(told)
    if cached < 0:
        assert told.entry.usage_source is UsageSource.ESTIMATED
    else:
        plain = (10 - billed_as_cached) * INPUT_NANO_USD
        assert told.entry.figures.charge_nano_usd == plain + billed_as_cached * 100 + 20 * OUTPUT_NANO_USD


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reported", [usage(10, 10_000_000), usage(10_000_000, 10), usage(10**9, 10**9)])
async def test_an_enormous_count_is_charged_up_to_the_reservation_and_the_rest_recorded_as_overrun(
    bench: Bench, reported: dict[str, Any], *, stream: bool
) -> None:
    told = await bench.ask(answering(TEXT, reported), stream=stream)

    answered(told)
    figures = told.entry.figures
    due = reported["prompt_tokens"] * INPUT_NANO_USD + reported["completion_tokens"] * OUTPUT_NANO_USD
    assert figures.charge_nano_usd == told.entry.reserved_nano_usd
    assert figures.overrun_nano_usd == due - told.entry.reserved_nano_usd > 0
    assert figures.cost_nano_usd == due
    assert figures.margin_nano_usd < 0


async def test_an_input_above_its_estimate_raises_the_account_s_next_reservations(bench: Bench) -> None:
    cheat, honest = bench.customer(), bench.customer()
    first = await bench.ask(answering(TEXT, usage(10, 20)), cheat)

    await bench.ask(answering(TEXT, usage(150, 20)), cheat)
    later = await bench.ask(answering(TEXT, usage(150, 20)), cheat)

    assert later.entry.reserved_nano_usd > first.entry.reserved_nano_usd
    other = await bench.ask(answering(TEXT, usage(10, 20)), honest)
    assert other.entry.reserved_nano_usd == first.entry.reserved_nano_usd


async def test_a_lie_raises_estimates_by_a_bounded_factor_only(bench: Bench) -> None:
    customer = bench.customer()
    first = await bench.ask(answering(TEXT, usage(10**9, 20)), customer, max_tokens=1)

    later = await bench.ask(answering(TEXT, usage(10, 1)), customer, max_tokens=1)

    assert first.entry.reserved_nano_usd < later.entry.reserved_nano_usd < 4 * first.entry.reserved_nano_usd


@pytest.mark.parametrize("stream", [False, True])
async def test_the_usage_shown_is_the_usage_charged_with_its_cost(bench: Bench, *, stream: bool) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}

    told = await bench.ask(answering(TEXT, usage(0, 10**9)), stream=stream, **options)

    shown = told.seen.events[-1]["usage"] if stream else told.seen.whole["usage"]
    assert shown["prompt_tokens"] == told.entry.usage.input_tokens
    assert shown["completion_tokens"] == told.entry.usage.output_tokens
    assert shown["total_tokens"] == told.entry.usage.total_tokens
    assert float(shown["cost_usd"]) * 10**9 == pytest.approx(told.entry.figures.charge_nano_usd)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_of_another_model_is_told_to_the_operator_once_and_to_no_client(
    bench: Bench, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    named = {"model": f"secret\nother-{stream}"}

    async def another(asked: Asked, connection: Connection) -> None:
        if not asked.body.get("stream"):
            await connection.reply(200, completion(TEXT, usage(10, 20)) | named)
            return
        await connection.begin_stream()
        for event in (chunk(TEXT), chunk(None, finish="stop"), chunk(None, counted=usage(10, 20))):
            await connection.event(event | named)
        await connection.event(b"data: [DONE]\n\n")
        await connection.end_stream()

    told = [await bench.ask(another, stream=stream) for _ in range(2)]

    for one in told:
        answered(one)
        assert {event["model"] for event in one.seen.events or [one.seen.whole]} == {"test-model"}
    lines = [record.getMessage() for record in caplog.records if f"other-{stream}" in record.getMessage()]
    assert lines == [f"pool secret-main: asked for the model secret-main-model, answered as 'secret\\nother-{stream}'"]

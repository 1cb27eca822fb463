"""A refusal says what truly stands in the way, and the headers show the limit that stops first."""

import asyncio

from jatevo_testing.streams import DONE, FINISH, HELLO, event
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, chunk, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import MODEL, World

from jatevo.domain.windows import Limits

NANO_PER_OUTPUT_TOKEN = 2_000


async def test_what_fits_once_requests_under_way_settle_is_not_refused_until_midnight(
    world: World, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def waiting(asked: Asked, connection: Connection) -> None:
        await go_on.wait()
        await answering("hello", usage(1, 1))(asked, connection)

    upstream.script = waiting
    customer = world.customer(margin_bps=0, budget_nano_usd=2_000 * NANO_PER_OUTPUT_TOKEN)
    first = asyncio.ensure_future(world.chat(customer, max_tokens=1_950))
    await eventually(upstream.was_asked, within_s=60)
    meanwhile = await world.chat(customer)
    go_on.set()
    assert (await first).status_code == 200
    assert meanwhile.status_code == 429
    assert meanwhile.json()["error"]["code"] == "budget_in_flight"
    assert int(meanwhile.headers["retry-after"]) < 10
    assert (await world.chat(customer)).status_code == 200


async def test_a_default_cap_is_fitted_to_every_window_that_refuses(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(1, 1))
    caps = Limits(budget_nano_usd=400 * NANO_PER_OUTPUT_TOKEN, concurrency=1)
    customer = world.customer(margin_bps=0, budget_nano_usd=200 * NANO_PER_OUTPUT_TOKEN, concurrency=1, caps=caps)
    assert (await world.chat(customer)).status_code == 200
    assert upstream.asked[0].cap < 200


async def test_an_input_longer_than_the_context_is_told_as_such(world: World, upstream: ScriptedUpstream) -> None:
    async def too_long(_asked: Asked, connection: Connection) -> None:
        error = {"code": 400, "type": "exceed_context_size_error", "message": "secret upstream words"}
        await connection.reply(400, {"error": error})

    upstream.script = too_long
    customer = world.customer()
    answer = await world.chat(customer)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "secret" not in answer.text
    assert (await world.window(customer)).settled_nano_usd == 0


async def test_headers_show_a_keys_own_cap_where_that_stops_first(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(1, 1))
    customer = world.customer(requests=100, caps=Limits(requests=1))
    served, refused = await world.chat(customer), await world.chat(customer)
    assert (served.status_code, refused.status_code) == (200, 429)
    for answer in (served, refused):
        assert answer.headers["x-ratelimit-limit-requests"] == "1"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert answer.headers["x-jatevo-budget-limit-usd"] == "11.00"


async def test_a_usage_frame_without_choices_is_part_of_a_whole_answer(
    world: World, upstream: ScriptedUpstream
) -> None:
    async def odd(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(HELLO + event({"choices": [{"index": 0, "finish_reason": "stop"}]}))
        await connection.event(event({"usage": usage(10, 50)}) + DONE)
        await connection.end_stream()

    upstream.script = odd
    customer = world.customer(margin_bps=0)
    answer = await world.chat(customer, stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == 10 * 1_000 + 50 * 2_000


async def test_an_upstream_that_finishes_and_stays_is_not_waited_for_long(
    world: World, upstream: ScriptedUpstream
) -> None:
    the_end = asyncio.Event()

    async def lingering(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(HELLO + FINISH + event(chunk(None, counted=usage(10, 50))))
        await the_end.wait()

    upstream.script = lingering
    customer = world.customer(margin_bps=0)
    async with asyncio.timeout(60):  # half of what an upstream's silence is allowed otherwise
        answer = await world.chat(customer, stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    assert MODEL["id"] in answer.text
    [entry] = await world.ledger(customer)
    assert entry.figures.charge_nano_usd == 10 * 1_000 + 50 * 2_000
    the_end.set()

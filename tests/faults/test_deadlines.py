"""An upstream that never ends its answer is left at the deadline; a stream that waits for it is kept alive."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from jatevo_testing.bench import Bench, Told, bench_over
from jatevo_testing.streams import HELLO, sending
from jatevo_testing.upstream import Asked, Connection, answering, usage

from jatevo.bootstrap import Settings
from jatevo.domain.ledger import Outcome, Reason

SHORT = Settings(directory_keep_ms=0, upstream_deadline_s=4, reservation_grace_s=3, heartbeat_s=1)
KEEP_ALIVE = b": keep-alive\n\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def hang(_: Asked, connection: Connection) -> None:
    await asyncio.sleep(30)


async def drip(_: Asked, connection: Connection) -> None:
    await connection.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    while not connection.closed:
        await connection.raw(b" ")
        await asyncio.sleep(0.05)


async def drip_comments(_: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    while not connection.closed:
        await connection.event(b": secret-processing\n\n")
        await asyncio.sleep(0.05)


async def late(asked: Asked, connection: Connection) -> None:
    await asyncio.sleep(2.7)
    await answering("late", usage(1, 1))(asked, connection)


@pytest.fixture(scope="module")
async def lasting_bench(dynoxide: str) -> AsyncIterator[Bench]:
    async with bench_over(dynoxide, SHORT) as made:
        yield made


@pytest.fixture(scope="module")
async def plain(lasting_bench: Bench) -> dict[str, Told]:
    return await lasting_bench.ask_all({"hang": hang, "drip": drip}, model="spare-model")


@pytest.fixture(scope="module")
async def streamed(lasting_bench: Bench) -> dict[str, Told]:
    scripts = {
        "hang": hang,
        "drip comments": drip_comments,
        "late": late,
        "stall": sending(HELLO, then="stall"),
    }
    return await lasting_bench.ask_all(scripts, stream=True)


def exposed(told: Told) -> None:
    """Check the books of a request that may have been billed upstream and brought nothing."""
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.NO_ANSWER)
    assert told.entry.figures.charge_nano_usd == 0
    assert told.entry.figures.exposure_nano_usd == told.entry.reserved_nano_usd > 0
    assert told.request_counted


@pytest.mark.parametrize("name", ["hang", "drip"])
async def test_an_answer_that_never_ends_is_left_at_the_deadline_and_not_to_be_asked_for_again(
    plain: dict[str, Told], name: str
) -> None:
    told = plain[name]

    assert (told.seen.status, told.seen.error["code"], told.seen.error["type"]) == (
        504,
        "upstream_timeout",
        "api_error",
    )
    assert "in time" in told.seen.error["message"]
    assert told.seen.headers["x-should-retry"] == "false"
    assert 1_000 < told.entry.timings.duration_ms < 8_000
    exposed(told)


async def test_no_other_route_is_asked_after_a_deadline(lasting_bench: Bench, plain: dict[str, Told]) -> None:
    asked = [request.body for request in lasting_bench.upstream.asked]
    assert sorted(body["user"] for body in asked if not body["stream"]) == ["drip", "hang"]


@pytest.mark.parametrize("name", ["hang", "drip comments"])
async def test_a_stream_that_stays_silent_gets_heartbeats_and_then_an_error_event(
    streamed: dict[str, Told], name: str
) -> None:
    told = streamed[name]

    assert told.seen.status == 200
    assert told.seen.body.startswith(KEEP_ALIVE)
    assert told.seen.error["code"] == "upstream_timeout"
    assert told.seen.broken
    exposed(told)


async def test_a_stream_that_is_late_gets_heartbeats_until_it_begins(streamed: dict[str, Told]) -> None:
    told = streamed["late"]

    assert told.seen.body.startswith(KEEP_ALIVE * 2)  # the first after one interval of silence
    assert told.seen.text == "late "
    assert told.seen.done
    assert told.entry.reason is Reason.ANSWERED
    assert (told.entry.timings.first_token_ms or 0) > 2_000


async def test_a_stream_that_stalls_is_left_at_the_deadline_and_charged_for_what_came(
    streamed: dict[str, Told],
) -> None:
    told = streamed["stall"]

    assert told.seen.text == "hello "
    assert told.seen.error["code"] == "upstream_timeout"
    assert told.seen.broken
    assert told.entry.reason is Reason.UPSTREAM_BROKE
    assert 0 < told.entry.figures.charge_nano_usd < told.entry.reserved_nano_usd

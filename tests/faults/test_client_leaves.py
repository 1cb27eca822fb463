"""A client that leaves, or does not read: its answer is settled all the same, and charged for what it came to."""

import asyncio
import contextlib
import functools
from collections.abc import Callable

import pytest
from jatevo_testing.bench import Bench, Settled, bench_over
from jatevo_testing.raw_client import RawClient, raw_client
from jatevo_testing.streams import DONE, FINISH, HELLO, event, sending
from jatevo_testing.upstream import Asked, Connection, chunk, completion, usage
from jatevo_testing.world import Customer

from jatevo.application.channel import Channel
from jatevo.bootstrap import Settings
from jatevo.domain.ledger import Reason
from jatevo.domain.tokens import UsageSource

COUNTED = usage(10, 50)
USAGE = event(chunk(None, counted=COUNTED))
WHOLE_CHARGE = 10 * 1_000 + 50 * 2_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Waiting:
    """An upstream that sends one piece, and the rest only when told."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def __call__(self, asked: Asked, connection: Connection) -> None:
        self.asked.set()
        if not asked.body["stream"]:
            await self.go_on.wait()
            await connection.reply(200, completion("hello", COUNTED))
            return
        await connection.begin_stream()
        await connection.event(HELLO)
        await self.go_on.wait()
        try:
            for _ in range(50):
                await connection.event(event(chunk("more ")))
                await asyncio.sleep(0.01)
            await connection.event(FINISH + USAGE + DONE)
            await connection.end_stream()
        except ConnectionError:
            self.hung_up.set()


LEAVING: list[Callable[[RawClient], None]] = [RawClient.close, RawClient.vanish]


async def left(
    bench: Bench, script: Waiting, leave: Callable[[RawClient], None], *, after: bytes = b"hello", **body: object
) -> Settled:
    """Leave once `after` has come, then let the upstream go on; return what the books say in the end."""
    bench.upstream.script = script
    customer = bench.customer()
    async with raw_client(bench.client.base_url) as client:
        await client.post(customer, **{"stream": True, "max_tokens": 100} | body)
        await script.asked.wait()
        if after:
            await client.reader.readuntil(after)
        leave(client)
        script.go_on.set()
        return await bench.settled(customer)


@pytest.mark.parametrize("after", [b"hello", b""])
@pytest.mark.parametrize("leave", LEAVING)
async def test_a_pool_that_drains_is_read_to_its_usage_and_charged_by_it(
    bench: Bench, leave: Callable[[RawClient], None], after: bytes
) -> None:
    script = Waiting()

    settled = await left(bench, script, leave, after=after)

    assert settled.entry.reason is Reason.CLIENT_LEFT
    assert settled.entry.usage_source is UsageSource.REPORTED
    assert settled.entry.figures.charge_nano_usd == WHOLE_CHARGE
    assert settled.request_counted
    assert not script.hung_up.is_set()


@pytest.mark.parametrize("leave", LEAVING)
async def test_a_pool_that_stops_is_hung_up_on_and_what_it_produced_is_charged(
    bench: Bench, leave: Callable[[RawClient], None]
) -> None:
    script = Waiting()

    settled = await left(bench, script, leave, model="stopped-model")

    assert settled.entry.reason is Reason.CLIENT_LEFT
    assert settled.entry.usage_source is UsageSource.ESTIMATED
    assert 0 < settled.entry.figures.charge_nano_usd < WHOLE_CHARGE
    assert settled.request_counted
    async with asyncio.timeout(5):
        await script.hung_up.wait()


async def test_a_plain_answer_nobody_waits_for_is_charged_as_any(bench: Bench) -> None:
    settled = await left(bench, Waiting(), RawClient.vanish, after=b"", stream=False)

    assert settled.entry.figures.charge_nano_usd == WHOLE_CHARGE
    assert settled.request_counted


async def test_a_client_that_leaves_at_any_moment_is_charged_once(bench: Bench) -> None:
    bench.upstream.script = sending(HELLO, HELLO, FINISH, USAGE, DONE)
    leavers = [bench.customer() for _ in range(24)]

    async def leave_after(place: int, customer: Customer) -> None:
        async with raw_client(bench.client.base_url) as client:
            await client.post(customer, stream=True, max_tokens=100)
            with contextlib.suppress(asyncio.IncompleteReadError):
                await client.reader.readexactly(1 + place * 40)

    await asyncio.gather(*(leave_after(place, customer) for place, customer in enumerate(leavers)))

    for customer in leavers:
        settled = await bench.settled(customer)
        assert settled.entry.figures.charge_nano_usd == WHOLE_CHARGE
        assert len(await bench.world.ledger(customer)) == 1


MEGABYTES = [event(chunk("x" * 65_536))] * 160  # more than all buffers between the upstream and the client hold


@pytest.mark.parametrize(
    ("model", "source"), [("test-model", UsageSource.REPORTED), ("stopped-model", UsageSource.ESTIMATED)]
)
async def test_a_client_that_does_not_read_is_given_up_and_its_answer_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, model: str, source: UsageSource
) -> None:
    monkeypatch.setattr("jatevo.application.inference.Channel", functools.partial(Channel, patience_s=0.3))
    bench.upstream.script = sending(*MEGABYTES, FINISH, USAGE, DONE)
    customer = bench.customer()

    async with raw_client(bench.client.base_url, receive_buffer=4096) as client:
        await client.post(customer, model=model, stream=True, max_tokens=100)
        settled = await bench.settled(customer)

    assert settled.entry.reason is Reason.CLIENT_LEFT
    assert settled.entry.usage_source is source
    assert settled.entry.figures.charge_nano_usd <= settled.entry.reserved_nano_usd
    assert settled.entry.timings.duration_ms < 3_000


async def test_a_client_that_does_not_read_is_given_up_when_its_answers_time_is_over(dynoxide: str) -> None:
    """Patience that outlasted the reservation's grace would leave its end to the sweeper, which knows no usage."""
    short = Settings(directory_keep_ms=0, upstream_deadline_s=2, reservation_grace_s=5)
    async with bench_over(dynoxide, short) as hasty:
        hasty.upstream.script = sending(*MEGABYTES, FINISH, USAGE, DONE)
        customer = hasty.customer()
        async with raw_client(hasty.client.base_url, receive_buffer=4096) as client:
            await client.post(customer, stream=True, max_tokens=100)
            settled = await hasty.settled(customer)

    assert settled.entry.reason in {Reason.CLIENT_LEFT, Reason.UPSTREAM_BROKE}
    assert settled.entry.figures.charge_nano_usd > 0
    assert settled.entry.timings.duration_ms < 7_000


async def test_a_client_that_reads_slowly_gets_everything(bench: Bench) -> None:
    bench.upstream.script = sending(*MEGABYTES, FINISH, USAGE, DONE)
    customer = bench.customer()
    received = 0

    async with raw_client(bench.client.base_url, receive_buffer=4096) as client:
        await client.post(customer, stream=True, max_tokens=100)
        while data := await client.reader.read(65_536):
            received += len(data)
            await asyncio.sleep(0)
            if data.endswith(b"0\r\n\r\n"):
                break

    assert received > 160 * 65_536
    assert (await bench.settled(customer)).entry.reason is Reason.ANSWERED

"""A response that its deadline overtakes is ended as failed, in time for the app to put things in order."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from jatevo_testing.lambda_stream import answer_of, event_of, taken_apart, until

from jatevo_local.lambda_api import LambdaFunction
from jatevo_local.lambda_api.calls import BrokenStream, Failure, Reply
from lambda_response_stream.context import LambdaContext
from lambda_response_stream.errors import ErrorReport
from lambda_response_stream.events import Scope, event_parser
from lambda_response_stream.exchange import Exchange
from lambda_response_stream.invocation import Receive, Send, Service, _Run
from lambda_response_stream.runtime_api import Invocation, RuntimeApi


@pytest.fixture(scope="module")
async def hurried(start: Any) -> AsyncIterator[LambdaFunction]:
    """One second, of which the last 500 ms are for the end."""
    margin = {"RESPONSE_STREAM_DEADLINE_MARGIN_MS": "500"}
    async with start("zoo.app", timeout_s=1, environment=margin) as function:
        await answer_of(function, "/status")
        yield function


async def ended(function: LambdaFunction, path: str) -> tuple[list[bytes], str, float]:
    """The payload, the error's type, and how long it took."""
    began = time.perf_counter()
    reply = await function.invoke(event_of(path))
    _, payload = await taken_apart(reply)
    assert isinstance(reply, Reply)
    return payload, reply.trailers["lambda-runtime-function-error-type"], time.perf_counter() - began


async def test_the_stream_ends_as_failed_before_the_kill_and_the_app_tidies_up(hurried: LambdaFunction) -> None:
    payload, kind, took_s = await ended(hurried, "/quiet")
    assert (payload, kind) == ([b"first"], "Runtime.DeadlineNear")
    assert 0.4 < took_s < 0.8
    await until(lambda: "put in order after http.disconnect" in hurried.log())
    assert (await answer_of(hurried, "/status"))["pid"] == hurried.environments[0].pid


async def test_before_the_first_byte_it_is_an_invocation_error(hurried: LambdaFunction) -> None:
    failure = await hurried.invoke(event_of("/quiet-before"))
    assert isinstance(failure, Failure)
    assert failure.kind == "Runtime.DeadlineNear"
    await until(lambda: "gave up before the first byte" in hurried.log())


async def test_what_is_sent_after_the_end_raises_an_os_error(hurried: LambdaFunction) -> None:
    payload, _, _ = await ended(hurried, "/late-send")
    assert payload == [b"first"]
    await until(lambda: "send raised Disconnected" in hurried.log())


async def test_an_app_that_only_sends_cannot_outrun_its_deadline(hurried: LambdaFunction) -> None:
    payload, kind, took_s = await ended(hurried, "/flood")
    assert kind == "Runtime.DeadlineNear"
    assert len(payload) > 1000
    assert took_s < 0.9


async def test_an_app_that_ignores_its_deadline_is_cancelled_and_the_environment_lives(hurried: LambdaFunction) -> None:
    _, kind, _ = await ended(hurried, "/stubborn")
    assert kind == "Runtime.DeadlineNear"
    await until(lambda: "cancelled in the end" in hurried.log())
    assert (await answer_of(hurried, "/status"))["pid"] == hurried.environments[0].pid


async def test_a_client_that_never_reads_holds_the_app_back_and_is_given_up(hurried: LambdaFunction) -> None:
    cold_starts = hurried.cold_starts
    reply = await hurried.invoke(event_of("/heavy"))
    assert isinstance(reply, Reply)
    await until(lambda: "heavy sent" in hurried.log())  # without a byte having been read
    sent = int(hurried.log().partition("heavy sent ")[2].split()[0])
    assert sent < 100
    with pytest.raises(BrokenStream):
        await reply.whole()
    await answer_of(hurried, "/status")
    assert hurried.cold_starts == cold_starts


class SlowAnswer:
    """Takes a piece only once `read` is set."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.taken: list[bytes] = []
        self.failed: list[str] = []

    def start(self, status: int, headers: object) -> None: ...

    async def write(self, body: bytes, *, more: bool) -> None:
        await self.read.wait()
        self.taken.append(body)

    async def finish(self) -> None: ...

    async def fail(self, error: ErrorReport) -> None:
        self.failed.append(error.kind)


async def test_a_reader_that_is_only_slow_gets_what_was_sent_and_then_the_error() -> None:
    answer = SlowAnswer()

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        async def read_when_time_is_up() -> None:
            await receive()
            await receive()
            answer.read.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read_when_time_is_up())
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})

    stopping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    service = Service(app, RuntimeApi(""), event_parser(), None, stopping, buffered=False, deadline_margin_ms=1000)
    context = LambdaContext(Invocation("id", b"", time.time_ns() // 1_000_000 + 1000))
    await _Run(service, {}, Exchange(b"", answer), context).to_its_end()
    assert (answer.taken, answer.failed) == ([b"piece"], ["Runtime.DeadlineNear"])


async def test_a_send_that_cannot_be_cancelled_leaves_the_next_connection_alone(hurried: LambdaFunction) -> None:
    cold_starts = hurried.cold_starts
    reply = await hurried.invoke(event_of("/shielded"))
    assert isinstance(reply, Reply)
    await until(lambda: hurried.environments[0].api.current is None)  # without a byte having been read
    for _ in range(2):
        await answer_of(hurried, "/status")
    assert hurried.cold_starts == cold_starts


async def test_where_little_time_was_given_half_of_it_is_the_apps(start: Any) -> None:
    margin = {"RESPONSE_STREAM_DEADLINE_MARGIN_MS": "60000"}
    async with start("zoo.app", timeout_s=0.8, environment=margin) as function:
        await answer_of(function, "/status")
        _, kind, took_s = await ended(function, "/quiet")
        assert kind == "Runtime.DeadlineNear"
        assert 0.3 < took_s < 0.7


async def test_a_function_that_is_killed_is_replaced(start: Any) -> None:
    margin = {"RESPONSE_STREAM_DEADLINE_MARGIN_MS": "0"}
    async with start(
        "classic_handler.handler", timeout_s=0.3, environment={"AWS_LAMBDA_EXEC_WRAPPER": "", **margin}
    ) as function:
        failure = await asyncio.wait_for(function.invoke(event_of("/sleep")), 5)
        assert isinstance(failure, Failure)
        assert failure.kind == "Sandbox.Timedout"
        reply = await function.invoke(event_of("/x"))
        assert isinstance(reply, Reply)
        await reply.discard()
        assert function.cold_starts == 2

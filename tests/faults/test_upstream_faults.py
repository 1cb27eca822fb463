"""An upstream that fails: how the client learns of it, and what it is charged; nothing is ever left open."""

import asyncio
import json
from typing import Any

import pytest
from jatevo_testing.bench import Bench, Told
from jatevo_testing.streams import DONE, FINISH, HELLO, WORLD, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, answering, chunk, completion, usage

from jatevo.domain.ledger import Outcome, Reason
from jatevo.domain.tokens import UsageSource

SECRET = "secret-upstream says: http://127.0.0.1/v1 refused sk-secret"  # what an upstream's own text might tell


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def replying(status: int, body: Any, **headers: str) -> Script:
    async def script(_: Asked, connection: Connection) -> None:
        await connection.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return script


def failed(told: Told, status: int, code: str) -> dict[str, Any]:
    """Check an error that came instead of an answer."""
    assert (told.seen.status, told.seen.error["code"], told.seen.error["type"]) == (status, code, "api_error")
    return told.seen.error


def exposed(told: Told, tries: int = 1) -> None:
    """Check the books of a request that may have been billed upstream: not charged, counted, not to be resent."""
    figures = told.entry.figures
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.NO_ANSWER)
    assert figures.charge_nano_usd == 0
    assert figures.exposure_nano_usd == tries * told.entry.reserved_nano_usd > 0
    assert told.request_counted


# An upstream that certainly did no work: everything is given back.

REFUSALS = {
    "401": (replying(401, {"error": {"message": SECRET}}), 502, "upstream_error"),
    "403": (replying(403, {"error": {"message": SECRET}}), 502, "upstream_error"),
    "404": (replying(404, SECRET.encode()), 502, "upstream_error"),
    "500": (replying(500, {"error": {"message": SECRET}}), 502, "upstream_error"),
    "529": (replying(529, b""), 502, "upstream_error"),
    "redirected": (replying(307, b"", location="http://127.0.0.1/secret"), 502, "upstream_error"),
    "429": (replying(429, {"error": {"message": SECRET}}, retry_after="77"), 503, "upstream_unavailable"),
    "503": (replying(503, b"secret"), 503, "upstream_unavailable"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REFUSALS)
async def test_an_upstream_that_refuses_costs_neither_money_nor_a_request(
    bench: Bench, name: str, *, stream: bool
) -> None:
    script, status, code = REFUSALS[name]

    told = await bench.ask(script, stream=stream)

    assert "not charged" in failed(told, status, code)["message"]
    assert (told.entry.outcome, told.entry.reason) == (Outcome.RELEASED, Reason.UPSTREAM_REFUSED)
    assert told.window.budget_left_nano_usd == told.window.limits.budget_nano_usd
    assert not told.request_counted
    assert told.seen.headers["x-ratelimit-remaining-requests"] == "11"
    assert told.seen.headers["x-jatevo-budget-remaining-usd"] == "11.00"
    assert told.seen.headers.get("retry-after") == ("5" if status == 503 else None)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_upstream_that_cannot_be_reached_costs_neither_money_nor_a_request(
    bench: Bench, *, stream: bool
) -> None:
    told = await bench.ask(answering("x", None), model="dead-model", stream=stream)

    failed(told, 503, "upstream_unavailable")
    assert told.seen.headers["retry-after"] == "5"
    assert told.entry.outcome is Outcome.RELEASED
    assert not told.request_counted
    assert not bench.upstream.asked


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_body_the_model_rejects_gives_the_money_back_and_counts(
    bench: Bench, status: int, *, stream: bool
) -> None:
    told = await bench.ask(replying(status, {"error": {"message": SECRET}}), stream=stream, model="spare-model")

    assert (told.seen.status, told.seen.error["code"]) == (400, "invalid_request")
    assert told.seen.error["type"] == "invalid_request_error"
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.CLIENT_ERROR)
    assert told.entry.figures.charge_nano_usd == told.entry.figures.exposure_nano_usd == 0
    assert told.request_counted
    assert len(bench.upstream.asked) == 1, "another route would reject it as well"


# An upstream that took the request and gave nothing useful: possibly billed, so tried once more and not again.


async def hang_up_at_once(_: Asked, connection: Connection) -> None:
    await connection.hang_up()


async def half_a_body(_: Asked, connection: Connection) -> None:
    body = json.dumps(completion("secret", usage(1, 1))).encode()
    await connection.raw(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body[:-9]))
    await connection.hang_up()


async def no_http(_: Asked, connection: Connection) -> None:
    await connection.raw(b"220 secret-upstream ESMTP\r\n\r\n")


NESTED = b'{"choices": [{"index": 0, "message": {"content": ' + b"[" * 3000 + b"]" * 3000 + b"}}]}"
NOTHING_USEFUL = {
    "hangs up": hang_up_at_once,
    "is no HTTP": no_http,
    "half a body": half_a_body,
    "empty": replying(200, b""),
    "no JSON": replying(200, b"<html>secret</html>"),
    "not UTF-8": replying(200, b"\xff\xfe\x00secret"),
    "a list": replying(200, []),
    "no choices": replying(200, {"usage": usage(1, 1)}),
    "empty choices": replying(200, {"choices": [], "usage": usage(1, 1)}),
    "choices of text": replying(200, {"choices": ["secret"]}),
    "no message": replying(200, {"choices": [{"index": 0, "text": "secret"}]}),
    "an error with status 200": replying(200, {"error": {"message": SECRET}, "choices": []}),
    "an error in a choice": replying(
        200, {"choices": [{"index": 0, "message": {"content": ""}, "error": {"message": SECRET}}]}
    ),
    "nested without end": replying(200, NESTED),
    "no number": replying(200, b'{"choices": [{"index": 0, "message": {"content": "a"}, "logprobs": NaN}]}'),
}


@pytest.mark.parametrize("name", NOTHING_USEFUL)
async def test_an_answer_that_is_none_is_not_charged_but_counted_and_not_to_be_resent(bench: Bench, name: str) -> None:
    told = await bench.ask(NOTHING_USEFUL[name], model="spare-model")

    failed(told, 502, "upstream_error")
    exposed(told, tries=2)
    assert told.seen.headers["x-should-retry"] == "false"
    assert told.seen.headers["x-ratelimit-remaining-requests"] == "10"
    assert len(bench.upstream.asked) == 2, "one further try, and none after it"


NO_STREAM = {
    "hangs up": hang_up_at_once,
    "ends at once": sending(),
    "hangs up after its head": sending(then="hang_up"),
    "half a frame": sending(HELLO[:-9], then="hang_up"),
    "half a frame, ended": sending(HELLO[:-1]),
    "no frames": sending(b"<html>secret</html>\n\n"),
    "a frame that is no JSON": sending(b"data: secret\n\n", FINISH, DONE),
    "a frame that is a list": sending(b"data: []\n\n", FINISH, DONE),
    "a frame of choices that are none": sending(event({"choices": [1]}), FINISH, DONE),
    "a frame nested without end": sending(b"data: " + NESTED.replace(b"message", b"delta") + b"\n\n", DONE),
    "a frame without end": sending(*[b"data: " + b"s" * 65_536 + b"\n"] * 80),
    "a line without end": sending(*[b"s" * 65_536] * 80),
    "an error event": sending(event({"error": {"message": SECRET}}), DONE),
    "an error event by name": sending(b'event: error\ndata: {"error": {"message": "secret"}}\n\n'),
    "an error in a choice": sending(event({"choices": [{"delta": {}, "error": {"message": SECRET}}]}), DONE),
    "one JSON answer": replying(200, completion("secret", usage(1, 1))),
    "a choice that failed": sending(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}), DONE),
}


@pytest.mark.parametrize("name", NO_STREAM)
async def test_a_stream_that_breaks_before_its_first_byte_is_an_error_status(bench: Bench, name: str) -> None:
    told = await bench.ask(NO_STREAM[name], stream=True, model="spare-model")

    failed(told, 502, "upstream_error")
    exposed(told, tries=2)
    assert told.seen.headers["x-should-retry"] == "false"
    assert len(bench.upstream.asked) == 2, "one further try, and none after it"


# An upstream that fails after some of the answer: charged for what was produced.

BREAKS = {
    "hangs up": sending(HELLO, WORLD, then="hang_up"),
    "ends without a finish": sending(HELLO, WORLD),
    "half a frame": sending(HELLO, WORLD, WORLD[:20], then="hang_up"),
    "garbage": sending(HELLO, WORLD, b"data: {secret\n\n", FINISH, DONE),
    "an error event": sending(HELLO, WORLD, event({"error": {"message": SECRET}}), DONE),
    "an error and a finish": sending(
        HELLO, WORLD, event({"error": SECRET, "choices": [{"delta": {}, "finish_reason": "error"}]}), DONE
    ),
    "an error in a choice": sending(HELLO, WORLD, event({"choices": [{"delta": {}, "error": SECRET}]}), FINISH, DONE),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_a_stream_that_breaks_ends_with_an_error_event_and_is_charged_for_what_came(
    bench: Bench, name: str
) -> None:
    told = await bench.ask(BREAKS[name], stream=True, model="spare-model")

    assert told.seen.status == 200
    assert told.seen.text == "hello world"
    assert told.seen.error["code"] == "upstream_error"
    assert told.seen.broken
    assert (told.entry.outcome, told.entry.reason) == (Outcome.CHARGED, Reason.UPSTREAM_BROKE)
    assert told.entry.usage_source is UsageSource.ESTIMATED
    assert 0 < told.entry.figures.charge_nano_usd < told.entry.reserved_nano_usd
    assert told.request_counted
    assert len(bench.upstream.asked) == 1


@pytest.mark.parametrize("then", ["end", "hang_up"])
@pytest.mark.parametrize("last", [(FINISH,), (FINISH, event(chunk(None, counted=usage(4, 2)))), (DONE,)])
async def test_a_stream_is_whole_once_it_has_finished_however_its_connection_ends(
    bench: Bench, last: tuple[bytes, ...], then: str
) -> None:
    told = await bench.ask(sending(HELLO, *last, then=then), stream=True)

    assert told.seen.done
    assert told.seen.text == "hello "
    assert told.entry.reason is Reason.ANSWERED
    assert told.entry.usage_source is (UsageSource.REPORTED if len(last) == 2 else UsageSource.ESTIMATED)


# More than one route.


@pytest.mark.parametrize("stream", [False, True])
async def test_a_route_that_is_down_is_passed_over_and_the_answer_charged_once(bench: Bench, *, stream: bool) -> None:
    told = await bench.ask(answering("served", usage(10, 20)), model="failover-model", stream=stream)

    assert told.seen.status == 200
    assert told.entry.figures.charge_nano_usd == 10 * 1_000 + 20 * 2_000
    assert told.request_counted


@pytest.mark.parametrize("stream", [False, True])
async def test_a_route_that_fails_is_passed_over_with_the_same_cap(bench: Bench, *, stream: bool) -> None:
    async def second_only(asked: Asked, connection: Connection) -> None:
        if asked.body["model"] == "secret-main-model":
            await connection.reply(500, b"secret")
        else:
            await answering("served", usage(10, 20))(asked, connection)

    told = await bench.ask(second_only, model="spare-model", stream=stream, max_tokens=33)

    assert told.seen.status == 200
    assert told.entry.figures.charge_nano_usd == 10 * 1_000 + 20 * 2_000
    first, second = bench.upstream.asked
    assert first.body["max_tokens"] == second.body["max_completion_tokens"] == 33
    assert "max_tokens" not in second.body


async def test_when_all_routes_fail_nothing_is_charged(bench: Bench) -> None:
    told = await bench.ask(replying(500, b"secret"), model="failover-model")

    failed(told, 502, "upstream_error")
    assert told.entry.outcome is Outcome.RELEASED


async def test_an_account_whose_bodies_are_rejected_one_after_the_other_is_slowed_not_the_pool(bench: Bench) -> None:
    clumsy, other = bench.customer(requests=99), bench.customer()
    for _ in range(6):
        await bench.ask(replying(400, b"secret"), clumsy)

    began = asyncio.get_running_loop().time()
    slowed = await bench.ask(replying(400, b"secret"), clumsy)
    assert slowed.seen.error["code"] == "invalid_request"
    assert asyncio.get_running_loop().time() - began > 0.2
    answered = await bench.ask(answering("fine", usage(1, 1)), other)
    assert answered.entry.timings.duration_ms < 1_000
    recovered = await bench.ask(answering("fine", usage(1, 1)), clumsy)
    assert recovered.seen.status == 200

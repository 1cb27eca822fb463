"""What operators are told of a request, and that nobody's words are in it."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jatevo_testing.logbook import Logbook, logbook
from jatevo_testing.served import seen_by, served
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, chunk, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import World

from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.logs import JsonLines
from jatevo.application.ports import StoreUnavailable
from jatevo_account.handler import create_app as account_app
from jatevo_admin.handler import create_app as admin_app
from jatevo_inference.handler import create_app
from jatevo_site.handler import create_app as site_app

MARKER = "zebra-umbrella"
"""Nobody's words but ours: wherever a client or a model may write something, the tests write this."""


@pytest.fixture
def book() -> Iterator[Logbook]:
    with logbook() as kept:
        yield kept


@pytest.fixture
async def told(world: World, book: Logbook) -> World:
    """A gateway that tells everything it can."""
    world.gateway.meter = EmfMeter("test", world.gateway.clock, book.write)
    world.app = create_app(world.gateway)
    world.client = httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app), base_url="http://gateway.test", timeout=30
    )
    return world


async def the_line(book: Logbook) -> dict[str, Any]:
    async def first() -> dict[str, Any] | None:
        return book.requests[-1] if book.requests else None

    found = await eventually(first)
    assert found is not None
    return found


@pytest.mark.parametrize("stream", [True, False])
async def test_one_line_tells_whose_request_it_was_how_it_went_and_what_it_came_to(
    told: World, upstream: ScriptedUpstream, book: Logbook, *, stream: bool
) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    customer = told.customer(margin_bps=1000)

    answer = await told.chat(customer, stream=stream, max_tokens=100)

    line = await the_line(book)
    assert len(book.requests) == 1
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["account"], line["key"]) == (customer.account.id, customer.key.id)
    assert (line["function"], line["message"], line["level"]) == ("inference", "POST /v1/chat/completions 200", "INFO")
    assert (line["model"], line["lane"], line["status"], line["cold"]) == ("test-model", "shared", 200, True)
    [route] = line["routes"]
    assert (route["pool"], route["outcome"], route["status"]) == ("main", "answered", 200)
    assert (line["input_tokens"], line["output_tokens"], line["usage_source"]) == (10, 20, "reported")
    assert (line["charge_nano_usd"], line["cost_nano_usd"], line["margin_nano_usd"]) == (55_000, 50_000, 5_000)
    assert (line["outcome"], line["reason"]) == ("charged", "answered")
    wanted = ["first_token", "stream"] if stream else ["answer"]
    assert list(line["ms"]) == ["access", "body", "parse", "admit", *wanted, "settle"]
    assert line["total_ms"] > 0
    assert line.get("stream", False) is stream


async def test_the_same_request_is_measured(told: World, upstream: ScriptedUpstream, book: Logbook) -> None:
    upstream.script = answering("hello there", usage(10, 20))
    await told.chat(told.customer(margin_bps=1000), max_tokens=100)
    await told.chat(told.customer(margin_bps=1000), max_tokens=100, model="no-such-model")
    await the_line(book)

    assert (book.total("Accepted"), book.total("Refused"), book.total("ColdStarts")) == (1, 1, 1)
    assert book.total("Refused", Reason="model_not_found") == 1
    assert (book.total("ChargeNanoUsd"), book.total("CostNanoUsd"), book.total("MarginNanoUsd")) == (
        55_000,
        50_000,
        5_000,
    )
    [directive] = book.metrics[0]["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Jatevo", [["Stack"]])
    for line in book.metrics:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert line["Stack"] == "test"
        assert {metric["Name"] for metric in directive["Metrics"]} <= line.keys()
        assert {name for one in directive["Dimensions"] for name in one} <= line.keys()


async def test_what_went_wrong_upstream_is_told_by_pool_and_graver_than_the_usual(
    told: World, upstream: ScriptedUpstream, book: Logbook
) -> None:
    async def breaking(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(chunk("so "))
        await connection.hang_up()

    upstream.script = breaking
    async with served(told.app) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await seen_by(client, told.customer().headers, stream=True)).broken
    line = await the_line(book)
    assert (line["level"], line["code"], line["reason"]) == ("WARNING", "upstream_error", "upstream_broke")

    async def refusing(_asked: Asked, connection: Connection) -> None:
        await connection.reply(500, {"error": {"message": MARKER}})

    upstream.script = refusing
    assert (await told.chat(told.customer())).status_code == 502
    assert (book.requests[-1]["level"], book.requests[-1]["routes"][0]["status"]) == ("WARNING", 500)
    assert book.total("UpstreamFailures", Pool="main") == 1
    assert book.total("Unanswered", Reason="upstream_error") == 2
    assert book.total("ServerErrors") == 1
    assert MARKER not in book.text


async def test_a_store_that_fails_is_an_error_of_ours(
    told: World, book: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise StoreUnavailable("DynamoDB refused: ThrottlingException")

    monkeypatch.setattr(told.gateway.windows, "reserve", failing)
    monkeypatch.setattr("jatevo.application.reservations._FIRST_PAUSE_S", 0.0)
    assert (await told.chat(told.customer())).status_code == 503
    line = await the_line(book)
    assert (line["level"], line["code"]) == ("ERROR", "service_unavailable")
    assert book.total("ReserveContention") == 8


async def test_nobodys_words_and_no_secret_get_into_any_line_at_any_level(
    told: World, upstream: ScriptedUpstream, book: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(_asked: Asked, connection: Connection) -> None:
        await connection.reply(400, {"error": {"message": MARKER, "code": MARKER}}, {f"x-{MARKER}": MARKER})

    async def garbled(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(f"data: {{{MARKER}\n\n".encode())
        await connection.end_stream()

    customer = told.customer()
    body = {
        "model": "test-model",
        "messages": [
            {"role": "system", "content": MARKER},
            {"role": "user", "content": f"{MARKER} of {customer.secret}", "name": MARKER},
        ],
        "tools": [
            {"type": "function", "function": {"name": MARKER, "parameters": {"type": "object", "title": MARKER}}}
        ],
        "user": MARKER,
        "stop": [MARKER],
        "metadata": {MARKER: MARKER},
    }
    headers = {**customer.headers, "x-marker": MARKER, "user-agent": MARKER, "cookie": f"session={MARKER}"}
    for script in (answering(MARKER, usage(10, 20)), failing, garbled):
        upstream.script = script
        for stream in (True, False):
            for path in ("/v1/chat/completions", "/playground/v1/chat/completions"):
                await told.client.post(path, json=body | {"stream": stream}, headers=headers)
            ask = {"model": "test-model", "input": MARKER, "instructions": MARKER, "stream": stream}
            await told.client.post("/v1/responses", json=ask, headers=headers)
    for wrong in (body | {MARKER: MARKER}, body | {"model": MARKER}, body | {"messages": MARKER}):
        await told.client.post("/v1/chat/completions", json=wrong, headers=headers)
    await told.client.post(f"/v1/chat/completions?q={MARKER}", content=MARKER, headers=headers)
    await told.client.post(f"/{MARKER}", content=MARKER, headers={"authorization": f"Bearer sk-clb-{MARKER}"})

    def broken(*_: object, **__: object) -> None:
        raise ValueError(MARKER, customer.secret)

    monkeypatch.setattr(told.gateway.windows, "reserve", broken)
    assert (await told.client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 500
    await _elsewhere(told, customer.secret)
    await eventually(lambda: _all_told(book))

    assert MARKER not in book.text
    assert customer.secret not in book.text
    assert customer.secret[10:30] not in book.text
    assert "secret-pool-key" not in book.text
    failure = next(line for line in book.lines if "exception" in line)
    assert failure["exception"][0].startswith("builtins.ValueError < "), "its place is told, not its text"


async def _all_told(book: Logbook) -> bool:
    return len(book.requests) > 25


async def _elsewhere(told: World, secret: str) -> None:
    """Send the same to the functions that ask no model."""
    asks = {
        account_app(told.gateway): (f"/v1/models/{MARKER}", f"/v1/responses/{MARKER}", "/account/v1/budget"),
        admin_app(told.gateway): (f"/admin/v1/accounts/{MARKER}", "/admin/v1/catalog"),
        site_app(told.gateway): (f"/{MARKER}", f"/assets/{MARKER}/{MARKER}", "/health"),
    }
    for app, paths in asks.items():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            for path in paths:
                for headers in ({"authorization": f"Bearer {secret}"}, {"authorization": f"Bearer jto-{MARKER}"}):
                    await client.get(path, headers=headers | {"cookie": f"{MARKER}={MARKER}"})
                    await client.post(path, headers=headers, json={MARKER: MARKER})


async def test_functions_that_ask_no_model_have_a_line_by_the_routes_own_name(told: World, book: Logbook) -> None:
    customer = told.customer()
    asks = {
        account_app(told.gateway): ("/v1/models/test-model", "/v1/models/{model_id}", 200),
        site_app(told.gateway): ("/health", "/health", 200),
        admin_app(told.gateway): ("/admin/v1/catalog", "(none)", 401),
    }
    for app, (path, route, status) in asks.items():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
            answer = await client.get(path, headers=customer.headers)
        assert book.requests[-1]["message"] == f"GET {route} {status}"
        assert book.requests[-1]["request_id"] == answer.headers["x-request-id"]
    assert book.requests[0]["account"] == customer.account.id


async def test_a_client_that_leaves_is_told_of_once_and_when_its_reservation_has_ended(
    told: World, upstream: ScriptedUpstream, book: Logbook
) -> None:
    go_on = asyncio.Event()

    async def slow(_asked: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(chunk("so "))
        await go_on.wait()
        await connection.event(chunk(None, finish="stop"))
        await connection.event(chunk(None, counted=usage(10, 20)))
        await connection.event(b"data: [DONE]\n\n")
        await connection.end_stream()

    upstream.script = slow
    sent: list[Any] = []
    left = asyncio.Event()
    body = b'{"model":"test-model","stream":true,"messages":[{"role":"user","content":"hello"}]}'
    incoming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            left.set()

    customer = told.customer()
    raw = [(b"authorization", customer.headers["authorization"].encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": raw, "client": ("::1", 1)}
    await told.app(scope, receive, send)
    assert not book.requests, "the model is still being read"
    go_on.set()
    line = await the_line(book)
    assert (line["status"], line["output_tokens"]) == (200, 20)
    assert len(book.requests) == 1


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    record = logging.LogRecord("jatevo.x", logging.INFO, "", 0, "two\nlines of sk-clb-%s", ("a" * 43,), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "sk-…" in line
    assert "aaaa" not in line
    foreign = logging.LogRecord("asyncio", logging.ERROR, "", 0, f"never retrieved\nexception={MARKER}", (), None)
    assert MARKER not in JsonLines().format(foreign)

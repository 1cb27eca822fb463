"""Traces: what a caller sends and gets back, what an upstream gets, and what a collector is told."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from jatevo_testing.logbook import logbook
from jatevo_testing.upstream import Asked, Connection, ScriptedUpstream, answering, usage
from jatevo_testing.waiting import eventually
from jatevo_testing.world import MODEL, Customer, World

from jatevo.adapters.dynamodb.schema import TableNames
from jatevo.bootstrap import Gateway, Settings, SettingsError

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MARKER = "zebra-umbrella"


class Collector:
    """An OpenTelemetry collector: takes OTLP over HTTP in JSON."""

    def __init__(self) -> None:
        self.exports: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.status = 200
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        self.headers.append(head)
        self.exports.append(json.loads(await reader.readexactly(int(fields["content-length"]))))
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [
            span
            for export in self.exports
            for resource in export["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@asynccontextmanager
async def traced(dynoxide: str, tables: TableNames, upstream: ScriptedUpstream, traces: str) -> AsyncIterator[World]:
    settings = Settings(directory_keep_ms=0, traces=traces, traces_authorization="env:POOL_KEY")
    made = World(dynoxide, tables.windows.removesuffix("-windows"), settings)
    made.apply_catalogue(MODEL, base_url=upstream.base_url)
    yield made
    await made.app.drain()
    await made.close()


@pytest.fixture
async def traced_world(
    dynoxide: str, tables: TableNames, upstream: ScriptedUpstream, collector: Collector
) -> AsyncIterator[World]:
    async with traced(dynoxide, tables, upstream, f"http://127.0.0.1:{collector.port}") as world:
        yield world


async def ask(world: World, customer: Customer, traceparent: str | None = None, **body: Any) -> httpx.Response:
    more = {} if traceparent is None else {"traceparent": traceparent}
    wanted = {"model": "test-model", "messages": [{"role": "user", "content": MARKER}], **body}
    return await world.client.post("/v1/chat/completions", json=wanted, headers={**customer.headers, **more})


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_callers_trace_goes_through_to_the_upstream_and_back(
    traced_world: World, upstream: ScriptedUpstream, collector: Collector, *, stream: bool
) -> None:
    upstream.script = answering(MARKER, usage(10, 20))
    answer = await ask(traced_world, traced_world.customer(), f"00-{TRACE}-{SPAN}-01", stream=stream)
    await traced_world.app.drain()

    [server] = [span for span in collector.spans if span["kind"] == 2]
    [client] = [span for span in collector.spans if span["kind"] == 3]
    assert answer.headers["x-trace-id"] == TRACE
    assert answer.headers["traceparent"] == f"00-{TRACE}-{server['spanId']}-01"
    assert upstream.asked[0].headers["traceparent"] == f"00-{TRACE}-{client['spanId']}-01"
    assert (server["traceId"], server["parentSpanId"], client["parentSpanId"]) == (TRACE, SPAN, server["spanId"])
    assert client["name"] == "chat secret-upstream-model"
    told = attributes(client)
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "secret-upstream-model")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == ("10", "20")
    assert attributes(server)["http.response.status_code"] == "200"
    phases = [span["name"] for span in collector.spans if span["kind"] == 1]
    assert phases[:4] == ["access", "body", "parse", "admit"]
    for span in collector.spans:
        begin, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        assert int(server["startTimeUnixNano"]) <= begin <= end <= int(server["endTimeUnixNano"]) + 1
    assert len({span["spanId"] for span in collector.spans}) == len(collector.spans)
    assert MARKER not in json.dumps(collector.exports)
    assert "authorization: secret-pool-key" in collector.headers[0].lower()


@pytest.mark.parametrize(
    "wrong",
    [None, "", "x", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{SPAN}-01", f"00-{MARKER}"],
)
async def test_who_brings_no_trace_or_a_wrong_one_gets_a_new_one(
    traced_world: World, upstream: ScriptedUpstream, wrong: str | None
) -> None:
    upstream.script = answering("hello", usage(1, 1))
    answer = await ask(traced_world, traced_world.customer(), wrong)
    version, trace, span, flags = answer.headers["traceparent"].split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert trace not in {TRACE, "0" * 32}


async def test_a_trace_that_is_not_sampled_is_passed_on_and_not_told(
    traced_world: World, upstream: ScriptedUpstream, collector: Collector
) -> None:
    upstream.script = answering("hello", usage(1, 1))
    answer = await ask(traced_world, traced_world.customer(), f"00-{TRACE}-{SPAN}-00")
    await traced_world.app.drain()
    assert answer.headers["traceparent"].endswith("-00")
    assert upstream.asked[0].headers["traceparent"].endswith("-00")
    assert collector.exports == []


async def test_a_failed_try_and_a_refusal_are_told_as_such(
    traced_world: World, upstream: ScriptedUpstream, collector: Collector
) -> None:
    async def failing(_asked: Asked, connection: Connection) -> None:
        await connection.reply(500, {"error": MARKER})

    upstream.script = failing
    assert (await ask(traced_world, traced_world.customer())).status_code == 502
    assert (await ask(traced_world, traced_world.customer(), model="no-such-model")).status_code == 404
    await traced_world.app.drain()
    [client] = [span for span in collector.spans if span["kind"] == 3]
    assert (client["status"], attributes(client)["error.type"]) == ({"code": 2}, "upstream_error")
    statuses = [attributes(span).get("error.type") for span in collector.spans if span["kind"] == 2]
    assert statuses == ["upstream_error", "model_not_found"]
    assert MARKER not in json.dumps(collector.exports)


async def test_a_collector_that_fails_costs_nobody_an_answer(
    traced_world: World, upstream: ScriptedUpstream, collector: Collector
) -> None:
    upstream.script, collector.status = answering("hello", usage(1, 1)), 500
    with logbook("WARNING") as book:
        assert (await ask(traced_world, traced_world.customer())).status_code == 200
        await traced_world.app.drain()
        await eventually(lambda: _told(book.text))
    assert "the collector answered 500" in book.text


async def _told(text: str) -> bool:
    return bool(text)


async def test_nothing_is_traced_or_loaded_unless_it_is_turned_on(world: World, upstream: ScriptedUpstream) -> None:
    upstream.script = answering("hello", usage(1, 1))
    answer = await ask(world, world.customer(), f"00-{TRACE}-{SPAN}-01")
    assert answer.status_code == 200
    assert {"traceparent", "x-trace-id"} & answer.headers.keys() == set()
    assert "traceparent" not in upstream.asked[0].headers
    program = (
        "import sys; from jatevo.bootstrap import Gateway, Settings; from jatevo_inference.handler import create_app;"
        "create_app(Gateway(Settings(), {}));"
        "print([name for name in sys.modules if name.startswith('jatevo.adapters.telemetry.')])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    loaded = (await process.communicate())[0].decode()
    assert "logs" in loaded
    assert "tracing" not in loaded
    assert "collector" not in loaded


def test_an_address_that_is_none_is_one_line_at_the_start() -> None:
    gateway = Gateway(Settings(traces="otel.example.com"), {})
    with pytest.raises(SettingsError, match=r"JATEVO_TRACES: 'otel\.example\.com' is no address"):
        gateway.tracer()
    gateway.close()

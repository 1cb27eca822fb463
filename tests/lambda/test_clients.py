"""What clients get from the built functions behind a gateway as unkind as AWS's: the same as from `make run`."""

import asyncio
import gzip
import json
import re
import time
from typing import Any

import httpx
import openai
import pytest
import zstandard
from jatevo_testing.cloud import Cloud
from jatevo_testing.lambda_stream import event_of
from jatevo_testing.responses import check_stream
from jatevo_testing.upstream import Asked, Connection, answering, chunk, usage

from jatevo_cli.smoke import Smoke, run
from jatevo_local.lambda_api.calls import Reply

HELLO: Any = [{"role": "user", "content": "hello"}]
WORDS = 5
PAUSE_S = 0.2
JSON = {"content-type": "application/json"}


@pytest.fixture
async def key(cloud: Cloud) -> str:
    cloud.upstream.script = type(cloud.upstream).script
    return (await cloud.customer())["authorization"].removeprefix("Bearer ")


def authorized(customer: dict[str, str]) -> dict[str, str]:
    return {"authorization": customer["authorization"]}


def sdk(cloud: Cloud, key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{cloud.stack.url}/v1", api_key=key, max_retries=0)


async def slowly(_asked: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    for _ in range(WORDS):
        await connection.event(chunk("word "))
        await asyncio.sleep(PAUSE_S)
    await connection.event(chunk(None, finish="stop"))
    await connection.event(chunk(None, counted=usage(5, WORDS)))
    await connection.event(b"data: [DONE]\n\n")
    await connection.end_stream()


async def flooding(_asked: Asked, connection: Connection) -> None:
    """More than all buffers on the way hold."""
    await connection.begin_stream()
    for _ in range(600):
        await connection.event(chunk("x" * 65_536))
    await connection.end_stream()


async def silent(_asked: Asked, _connection: Connection) -> None:
    await asyncio.sleep(60)


async def breaking(_asked: Asked, connection: Connection) -> None:
    await connection.begin_stream()
    await connection.event(chunk("word "))
    await asyncio.sleep(0.1)
    await connection.hang_up()


async def test_the_smoke_checks_hold(cloud: Cloud, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.upstream.script = answering("hello you there", usage(5, 3))
    held = await asyncio.to_thread(run, Smoke(cloud.stack.url, key))
    assert held, capsys.readouterr().out + cloud.log()


async def test_the_smoke_checks_notice_a_stream_that_was_collected_on_its_way(
    cloud: Cloud, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = answering("all of it at once", usage(5, 5))

    async def collected(asked: Asked, connection: Connection) -> None:
        await asyncio.sleep(0.6 if asked.body.get("stream") else 0)
        await answer(asked, connection)

    cloud.upstream.script = collected
    assert not await asyncio.to_thread(run, Smoke(cloud.stack.url, key))
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1
    assert "is it buffered?" in failed[0]
    assert await asyncio.to_thread(Smoke(cloud.stack.url, key, "test-model", buffered=True).stream)


async def test_the_first_word_arrives_long_before_the_last(cloud: Cloud, key: str) -> None:
    async with sdk(cloud, key) as client:
        await client.models.list()
        cloud.upstream.script = slowly
        at: list[float] = []
        text = ""
        stream = await client.chat.completions.create(model="test-model", messages=HELLO, max_tokens=50, stream=True)
        async for event in stream:
            if event.choices and event.choices[0].delta.content:
                at.append(time.monotonic())
                text += event.choices[0].delta.content
    assert text == "word " * WORDS
    assert at[-1] - at[0] > PAUSE_S * (WORDS - 1) * 0.8


async def test_a_stream_that_fails_is_a_broken_transfer_and_never_looks_whole(cloud: Cloud, key: str) -> None:
    cloud.upstream.script = breaking
    body = {"model": "test-model", "messages": HELLO, "max_tokens": 50, "stream": True}
    got = bytearray()

    async def read() -> None:
        headers = {"authorization": f"Bearer {key}"}
        async with cloud.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            assert answer.status_code == 200
            async for data in answer.aiter_bytes():
                got.extend(data)

    with pytest.raises(httpx.RemoteProtocolError):
        await read()
    assert b"word" in got
    assert b"[DONE]" not in got


async def test_a_response_streams_and_is_continued(cloud: Cloud, key: str) -> None:
    async with sdk(cloud, key) as client:
        await client.models.list()
        cloud.upstream.script = slowly
        at: list[float] = []
        stream = await client.responses.create(model="test-model", input="hello", max_output_tokens=50, stream=True)
        events = []
        async for event in stream:
            at.append(time.monotonic())
            events.append(event)
        last = events[-1]
        assert last.type == "response.completed"
        assert last.response.output_text == "word " * WORDS
        cloud.upstream.script = type(cloud.upstream).script
        next_turn = await client.responses.create(
            model="test-model", input="and?", max_output_tokens=5, previous_response_id=last.response.id
        )
    assert at[-1] - at[0] > PAUSE_S * (WORDS - 1) * 0.8
    assert next_turn.previous_response_id == last.response.id
    asked = cloud.upstream.asked[-1].body["messages"]
    assert [message["content"] for message in asked] == ["hello", "word " * WORDS, "and?"]


async def test_codex_sends_a_packed_body_and_gets_a_stream(cloud: Cloud, key: str) -> None:
    cloud.upstream.script = type(cloud.upstream).script
    body = {"model": "test-model", "input": "hello", "max_output_tokens": 5, "stream": True, "store": False}
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/octet-stream",
        "content-encoding": "zstd",
        "x-codex-turn-state": "turn one",
    }

    answer = await cloud.client.post(
        "/backend-api/codex/responses", content=zstandard.compress(json.dumps(body).encode()), headers=headers
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-codex-turn-state"] == "turn one"
    assert check_stream(answer.content).kinds[-1] in {"response.completed", "response.incomplete"}
    models = await cloud.client.get("/backend-api/codex/models", headers={"authorization": f"Bearer {key}"})
    assert "test-model" in models.text


async def test_a_warm_function_serves_again_without_starting(cloud: Cloud, key: str) -> None:
    function = cloud.stack.functions["InferenceFunction"]
    async with sdk(cloud, key) as client:
        await client.chat.completions.create(model="test-model", messages=HELLO, max_tokens=5)
        await asyncio.sleep(0.5)  # the environment asks for its next request only once the answer is out
        before = function.cold_starts
        await client.chat.completions.create(model="test-model", messages=HELLO, max_tokens=5)
    assert function.cold_starts == before


@pytest.mark.parametrize("path", ["/", "/pricing", "/dashboard", "/playground"])
async def test_a_page_finds_what_it_is_made_of_below_the_stage(cloud: Cloud, path: str) -> None:
    page = (await cloud.client.get(path)).text
    assert '<base href="/prod/">' in page
    parts = re.findall(r'(?:src|href)="(assets/[^"]+)"', page)
    assert len(parts) > 1
    for part in parts:
        assert (await cloud.client.get(f"/{part}")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/nothing", "/v1/models", "/v1/nothing", "/v1/chat/completions"])
async def test_pages_of_another_origin_may_read_answers_and_errors(cloud: Cloud, path: str) -> None:
    answer = await cloud.client.get(path, headers={"origin": "https://example.com"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-jatevo-budget-remaining-usd" in answer.headers["access-control-expose-headers"]
    assert answer.headers["x-request-id"].startswith("req_")


async def test_the_pools_key_comes_from_its_store_and_goes_to_the_upstream_only(cloud: Cloud, key: str) -> None:
    cloud.upstream.asked.clear()
    async with sdk(cloud, key) as client:
        await client.chat.completions.create(model="test-model", messages=HELLO, max_tokens=5)
    assert [asked.headers["authorization"] for asked in cloud.upstream.asked] == ["bearer secret-pool-key"]
    assert "secret-pool-key" not in cloud.log()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_packed_body_arrives_whole_when_its_type_is_binary_and_else_says_how_to_send_it(
    cloud: Cloud, key: str, encoding: str
) -> None:
    body = json.dumps({"model": "test-model", "messages": HELLO, "max_tokens": 5}).encode()
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.ZstdCompressor().compress(body)
    headers = {"authorization": f"Bearer {key}", "content-encoding": encoding}
    whole, damaged = [
        await cloud.client.post("/v1/chat/completions", content=packed, headers=headers | {"content-type": kind})
        for kind in ("application/octet-stream", "application/json")
    ]
    assert whole.status_code == 200, whole.text
    assert damaged.status_code == 400
    assert "Content-Type: application/octet-stream" in damaged.json()["error"]["message"]


async def test_a_body_beyond_an_events_size_is_refused(cloud: Cloud, key: str) -> None:
    long = {"model": "test-model", "messages": [{"role": "user", "content": "x" * 6_300_000}]}
    answer = await cloud.client.post("/v1/chat/completions", json=long, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 413


async def test_an_upstream_slower_than_the_deadline_is_an_error_and_a_settled_reservation(cloud: Cloud) -> None:
    customer = await cloud.customer()
    cloud.upstream.script = silent
    body = {"model": "test-model", "messages": HELLO, "max_tokens": 5}
    headers = {"authorization": customer["authorization"]}
    answer = await cloud.client.post("/v1/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    window = (await cloud.admin.get(f"/accounts/{customer['account']}/window")).json()
    assert window["open"] == {}


async def test_a_client_that_never_reads_is_given_up_and_its_answer_settled(cloud: Cloud) -> None:
    customer = await cloud.customer()
    function = cloud.stack.functions["InferenceFunction"]
    cloud.upstream.script = flooding
    body = {"model": "test-model", "messages": HELLO, "max_tokens": 50, "stream": True}
    event = event_of("/v1/chat/completions", json.dumps(body).encode(), headers={**JSON, **authorized(customer)})
    reply = await function.invoke(event)
    assert isinstance(reply, Reply)  # it has begun, and nobody reads it
    before = function.cold_starts
    ledger = f"/accounts/{customer['account']}/ledger"
    async with asyncio.timeout(15):
        while not (entries := (await cloud.admin.get(ledger)).json()["entries"]):  # noqa: ASYNC110 - a process does it
            await asyncio.sleep(0.1)
    [entry] = entries
    assert entry["charge_nano_usd"] <= entry["reserved_nano_usd"]
    assert (await cloud.admin.get(f"/accounts/{customer['account']}/window")).json()["open"] == {}
    await reply.discard()
    cloud.upstream.script = type(cloud.upstream).script
    answer = await cloud.client.post("/v1/chat/completions", json=body, headers=authorized(customer))
    assert (answer.status_code, function.cold_starts) == (200, before)


async def test_no_call_was_refused_by_a_role(cloud: Cloud) -> None:
    assert cloud.aws.refused == []

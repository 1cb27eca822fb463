"""The form of a streamed response on its way to Lambda, and that what an app sends arrives as it was sent."""

import json
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jatevo_testing.effort import EFFORT
from jatevo_testing.lambda_stream import event_of, taken_apart

from jatevo_local.lambda_api import LambdaFunction
from jatevo_local.lambda_api.calls import Reply


def pieces_of(sizes: list[int]) -> list[bytes]:
    """What the app sends for these sizes."""
    return [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]


async def test_prelude_separator_and_payload_are_chunks_of_their_own(zoo: LambdaFunction) -> None:
    sizes = [5, 1, 2000]
    prelude, payload = await taken_apart(await zoo.invoke(event_of("/chunks", json.dumps(sizes).encode())))
    assert prelude == {"statusCode": 200, "headers": {"content-type": "text/plain"}}
    assert payload == pieces_of(sizes)


async def test_the_invocation_id_is_passed_back(zoo: LambdaFunction) -> None:
    reply = await zoo.invoke(event_of("/echo"))
    assert isinstance(reply, Reply)
    await reply.discard()
    assert reply.headers["lambda-runtime-invocation-id"].startswith("attempt-of-")


async def test_every_kind_of_bytes_is_sent(zoo: LambdaFunction) -> None:
    _, payload = await taken_apart(await zoo.invoke(event_of("/kinds")))
    assert payload == [b"bytearray ", b"memoryview ", b"bytes"]


@pytest.mark.parametrize("path", ["/empty", "/empty-in-pieces", "/no-content"])
async def test_an_empty_body_still_has_a_byte_so_that_its_status_is_not_lost(zoo: LambdaFunction, path: str) -> None:
    prelude, payload = await taken_apart(await zoo.invoke(event_of(path)))
    assert prelude["statusCode"] in {201, 202, 204}
    assert payload == [b"\n"]


async def test_a_length_of_zero_is_not_announced_before_that_byte(zoo: LambdaFunction) -> None:
    prelude, _ = await taken_apart(await zoo.invoke(event_of("/empty")))
    assert prelude["headers"] == {"x-kept": "yes", "content-type": "text/plain"}


async def test_cookies_and_repeated_headers_have_their_own_places(zoo: LambdaFunction) -> None:
    prelude, _ = await taken_apart(await zoo.invoke(event_of("/headers")))
    assert prelude["cookies"] == ["a=1; Path=/", "b=2; Path=/"]
    assert prelude["multiValueHeaders"] == {"x-many": ["one", "two"]}
    assert prelude["headers"]["x-latin"] == "caf\u00e9"
    assert "connection" not in prelude["headers"]
    assert "transfer-encoding" not in prelude["headers"]


async def test_a_function_url_gets_repeated_headers_joined(zoo: LambdaFunction) -> None:
    event = {
        "version": "2.0",
        "rawPath": "/headers",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/headers", "sourceIp": "192.0.2.1"}},
    }
    prelude, _ = await taken_apart(await zoo.invoke(event))
    assert prelude["headers"]["x-many"] == "one, two"
    assert prelude["cookies"] == ["a=1; Path=/", "b=2; Path=/"]
    assert "multiValueHeaders" not in prelude


async def test_the_first_byte_arrives_long_before_the_last(zoo: LambdaFunction) -> None:
    await taken_apart(await zoo.invoke(event_of("/empty")))  # the cold start is not what is measured
    began = time.perf_counter()
    reply = await zoo.invoke(event_of("/slow"))
    assert isinstance(reply, Reply)
    arrived = [time.perf_counter() - began async for _ in reply.pieces()]
    assert arrived[2] < 0.1
    assert arrived[-1] > 0.4
    assert len(arrived) == 2 + 5


@pytest.mark.parametrize("sizes", [[1], [1] * 3000, [40_000_000], [1, 65_535, 1, 65_536, 1, 65_537, 0, 7]])
async def test_huge_and_tiny_pieces_arrive_intact(zoo: LambdaFunction, sizes: list[int]) -> None:
    _, payload = await taken_apart(await zoo.invoke(event_of("/chunks", json.dumps(sizes).encode())))
    assert payload == [piece for piece in pieces_of(sizes) if piece]


@given(st.lists(st.integers(0, 300) | st.integers(65_000, 66_000) | st.just(200_000), min_size=1, max_size=20))
@settings(max_examples=40 * EFFORT)
async def test_any_sequence_of_sizes_arrives_intact(zoo: LambdaFunction, sizes: list[int]) -> None:
    _, payload = await taken_apart(await zoo.invoke(event_of("/chunks", json.dumps(sizes).encode())))
    assert payload == ([piece for piece in pieces_of(sizes) if piece] or [b"\n"])

"""Streams in every shape upstreams give them: the client gets the same clean stream, the books the same counts."""

import asyncio
from typing import Any

import pytest
from jatevo_testing.bench import Bench, Told
from jatevo_testing.served import chat_stream, seen_by
from jatevo_testing.streams import DONE, FINISH, HELLO, WORLD, event, sending
from jatevo_testing.upstream import Asked, Connection, Script, chunk, usage

from jatevo.adapters.wire.sse import SseParser
from jatevo.domain.ledger import Reason
from jatevo.domain.tokens import UsageSource

USAGE = event(chunk(None, counted=usage(4, 2)))
PLAIN = HELLO + WORLD + FINISH + USAGE + DONE
CHARGE = 4 * 1_000 + 2 * 2_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def delta(index: int = 0, finish: str | None = None, **members: Any) -> bytes:
    return event({"choices": [{"index": index, "delta": members, "finish_reason": finish}]})


def with_usage(frame: dict[str, Any], counted: dict[str, Any]) -> bytes:
    return event(frame | {"usage": counted})


async def asked(bench: Bench, script: Script, **body: Any) -> Told:
    """Ask for a stream with its usage, and check that it ended well and was charged as counted."""
    told = await bench.ask(script, stream=True, stream_options={"include_usage": True}, **body)
    assert told.seen.done
    assert told.entry.reason is Reason.ANSWERED
    assert told.entry.usage_source is UsageSource.REPORTED
    assert told.seen.events[-1]["usage"]["prompt_tokens"] == told.entry.usage.input_tokens
    assert [event.get("usage") for event in told.seen.events[:-1]] == [None] * (len(told.seen.events) - 1)
    return told


SHAPES: dict[str, tuple[bytes, ...]] = {
    "one piece": (PLAIN,),
    "byte by byte": tuple(PLAIN[at : at + 1] for at in range(len(PLAIN))),
    "carriage returns": (PLAIN.replace(b"\n", b"\r\n"),),
    "carriage returns, byte by byte": tuple(
        bytes([byte]) for byte in (HELLO + WORLD + FINISH + USAGE + DONE).replace(b"\n", b"\r\n")
    ),
    "no space after the colon": (PLAIN.replace(b"data: ", b"data:"),),
    "comments between": (PLAIN.replace(b"data:", b": secret-processing\n\ndata:"),),
    "comments within": (PLAIN.replace(b"data:", b": secret\ndata:"),),
    "other fields": (PLAIN.replace(b"data:", b"event: message\nid: 7\nretry: 9\ndata:"),),
    "empty lines before": (b"\n\n\r\n" + PLAIN,),
    "usage with the finish": (
        HELLO,
        WORLD,
        with_usage(chunk(None, finish="stop"), usage(4, 2)),
        DONE,
    ),
    "usage in every chunk": (
        with_usage(chunk("hello "), usage(4, 1)),
        with_usage(chunk("world"), usage(4, 2)),
        with_usage(chunk(None, finish="stop"), usage(4, 2)),
        DONE,
    ),
    "usage of null until the end": (
        event(chunk("hello ") | {"usage": None}),
        event(chunk("world") | {"usage": None}),
        FINISH,
        USAGE,
        DONE,
    ),
    "usage before the finish": (HELLO, WORLD, USAGE, FINISH, DONE),
    "no end marker": (HELLO, WORLD, FINISH, USAGE),
    "more after the end marker": (PLAIN, event(chunk("secret")), b"data: secret\n\n"),
    "another model, id and fields": (
        event(chunk("hello ") | {"model": "secret-other", "provider": "secret", "system_fingerprint": "secret"}),
        event({"choices": [{"index": 0, "delta": {"content": "world"}, "native_finish_reason": "secret"}]}),
        FINISH,
        USAGE,
        DONE,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
async def test_every_shape_of_a_stream_comes_out_the_same(bench: Bench, name: str) -> None:
    told = await asked(bench, sending(*SHAPES[name]))

    assert told.seen.text == "hello world"
    assert told.entry.figures.charge_nano_usd == CHARGE
    assert {event["model"] for event in told.seen.events} == {"test-model"}
    assert len({event["id"] for event in told.seen.events}) == 1
    assert {event["object"] for event in told.seen.events} == {"chat.completion.chunk"}
    assert b"\r" not in told.seen.body


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_stream_may_be_cut_anywhere(ends: bytes) -> None:
    stream = b"data: one\n\n: secret\n\ndata: two\ndata: lines\n\ndata:[DONE]\n\n".replace(b"\n", ends)
    for cut in range(len(stream) + 1):
        for second in range(cut, len(stream) + 1):
            parser = SseParser()
            pieces = (stream[:cut], stream[cut:second], stream[second:])
            events = [event for piece in pieces for event in parser.feed(piece)]
            assert events == [b"one", b"two\nlines", b"[DONE]"]


async def test_reasoning_passes_and_counts_as_output(bench: Bench) -> None:
    frames = (delta(reasoning_content="let me think " * 10), delta(content="yes"), FINISH)

    told = await asked(bench, sending(*frames, USAGE, DONE))
    uncounted = await bench.ask(sending(*frames, DONE), stream=True)

    assert told.seen.events[0]["choices"][0]["delta"] == {"reasoning_content": "let me think " * 10}
    assert uncounted.entry.usage.output_tokens > 30


async def test_tool_calls_pass_piece_by_piece(bench: Bench) -> None:
    calls: list[dict[str, Any]] = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city": '}},
        {"index": 0, "function": {"arguments": '"Bern"}'}},
    ]
    frames = [delta(role="assistant", content=None), *(delta(tool_calls=[call]) for call in calls)]

    told = await asked(bench, sending(*frames, delta(finish="tool_calls"), USAGE, DONE))
    uncounted = await bench.ask(sending(*frames, delta(finish="tool_calls")), stream=True)

    deltas = [event["choices"][0]["delta"] for event in told.seen.events[1:4]]
    assert deltas == [{"tool_calls": [call]} for call in calls]
    assert told.seen.events[4]["choices"][0]["finish_reason"] == "tool_calls"
    assert uncounted.seen.done
    assert uncounted.entry.usage.output_tokens >= 5


async def test_several_choices_are_whole_when_each_has_finished(bench: Bench) -> None:
    both = (delta(0, content="a"), delta(1, content="b"), delta(1, finish="stop"), delta(0, finish="length"))

    told = await asked(bench, sending(*both, USAGE), n=2)

    assert told.seen.text == "ab"
    assert bench.upstream.asked[0].body["n"] == 2
    assert told.entry.reserved_nano_usd > 2 * 100 * 2_000


async def test_several_choices_are_broken_when_one_has_not_finished(bench: Bench) -> None:
    told = await bench.ask(
        sending(delta(0, content="a"), delta(1, content="b"), delta(0, finish="stop")), stream=True, n=2
    )

    assert told.seen.broken
    assert told.entry.reason is Reason.UPSTREAM_BROKE


async def test_without_being_asked_for_no_usage_shows(bench: Bench) -> None:
    told = await bench.ask(sending(*SHAPES["usage in every chunk"]), stream=True)

    assert told.seen.done
    assert b"usage" not in told.seen.body
    assert told.entry.figures.charge_nano_usd == CHARGE


async def test_content_goes_out_as_it_comes(bench: Bench) -> None:
    client_has_it = asyncio.Event()

    async def only_when_read(_: Asked, connection: Connection) -> None:
        await connection.begin_stream()
        await connection.event(HELLO)
        async with asyncio.timeout(5):
            await client_has_it.wait()
        await connection.event(WORLD + FINISH + DONE)
        await connection.end_stream()

    bench.upstream.script = only_when_read
    customer = bench.customer()
    text = ""
    async with chat_stream(bench.client, customer.headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-ratelimit-remaining-requests"] == "10"
        async for piece in answer.aiter_text():
            text += piece
            client_has_it.set()
    assert "hello " in text
    assert text.endswith("[DONE]\n\n")


async def test_a_client_s_next_request_never_meets_its_own_reservation(bench: Bench) -> None:
    """The end marker comes after settling: with one slot, each request may follow the last at once."""
    customer = bench.customer(concurrency=1)
    bench.upstream.script = sending(PLAIN)

    for _ in range(8):
        seen = await seen_by(bench.client, customer.headers, stream=True)
        assert seen.done, seen.body

    assert (await bench.world.window(customer)).settled_nano_usd == 8 * CHARGE

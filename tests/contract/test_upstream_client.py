"""The client that asks pools: what a hostile one can do with its answer."""

import gzip
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from jatevo_testing.raw_server import answer, raw_server, saying

from jatevo.adapters.system import SystemClock
from jatevo.adapters.upstream.http import HttpUpstream
from jatevo.application.ports import UpstreamBroken, UpstreamCall, UpstreamUnreachable
from jatevo.domain.catalogue import Pool

MB = 1024**2
BOMB = gzip.compress(bytes(64 * MB))


@pytest.fixture
def upstream() -> Iterator[HttpUpstream]:
    made = HttpUpstream(SystemClock(), lambda _: SECRET_THAT_ENDS_A_LINE)
    yield made
    made.close()


SECRET_THAT_ENDS_A_LINE = "sk-1\r\nx-evil: 1"


def call(port: int, *, api_key: str | None = None, path: str = "/chat/completions") -> UpstreamCall:
    pool = Pool("main", f"http://127.0.0.1:{port}/v1", api_key=api_key)
    return UpstreamCall(pool, path, {"text": "a\r\nb"}, int(time.time() * 1000) + 30_000, "req_1")


async def test_a_packed_answer_is_unpacked_piece_by_piece(upstream: HttpUpstream) -> None:
    async with raw_server(saying(answer(BOMB, 200, "content-encoding: gzip"))) as server:
        tracemalloc.start()
        async with upstream.open(call(server.port)) as answered:
            sizes = [len(piece) async for piece in answered.body]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sum(sizes) == 64 * MB
    assert max(sizes) <= MB // 4
    assert most < 4 * MB


@pytest.mark.parametrize("size", [0, 1, 255 * 1024, 256 * 1024, 256 * 1024 + 1, 700_000])
async def test_a_packed_answer_is_whole_whatever_its_size(upstream: HttpUpstream, size: int) -> None:
    packed = gzip.compress(b"x" * size) + b"what follows the end is nobody's"
    says = saying(answer(packed, 200, "content-encoding: gzip"))
    async with raw_server(says) as server, upstream.open(call(server.port)) as answered:
        assert b"".join([piece async for piece in answered.body]) == b"x" * size


async def test_an_answer_that_is_not_packed_as_it_says_is_broken(upstream: HttpUpstream) -> None:
    async with raw_server(saying(answer(b"plain", 200, "content-encoding: gzip"))) as server:
        with pytest.raises(UpstreamBroken):
            async with upstream.open(call(server.port)) as answered:
                assert [piece async for piece in answered.body] == []


async def test_a_key_that_would_end_its_line_is_not_sent(upstream: HttpUpstream) -> None:
    async with raw_server(saying(answer(b""))) as server:
        with pytest.raises(UpstreamUnreachable):
            async with upstream.open(call(server.port, api_key="env:POOL_KEY")):
                pass
    assert not server.asked


async def test_no_address_ends_the_line_that_names_it(upstream: HttpUpstream) -> None:
    path = "/x y\r\nx-evil: 1\r\n\r\nPOST /z HTTP/1.1"
    async with raw_server(saying(answer(b""))) as server, upstream.open(call(server.port, path=path)):
        pass
    head, _, body = server.asked[0].partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0].count(b" ") == 2
    assert not [line for line in head.split(b"\r\n") if line.startswith(b"x-evil")]
    assert body == rb'{"text":"a\r\nb"}'

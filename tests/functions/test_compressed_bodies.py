"""Bodies may come as gzip or zstd; nobody can make the gateway unpack more than it takes uncompressed."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
import zstandard
from jatevo_testing.refusals import refused
from jatevo_testing.world import Customer, World

from jatevo.adapters.http.asgi import BodyTooLarge
from jatevo.adapters.http.encodings import BadEncoding, decoded
from jatevo.adapters.wire.checks import MAX_BODY_BYTES

BODY = json.dumps({"model": "test-model", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}).encode()
PACK = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
FORMATS = ["gzip", "zstd"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def sent(world: World, body: bytes, encoding: str, customer: Customer | None = None) -> httpx.Response:
    headers = {**(customer or world.customer()).headers, "content-encoding": encoding}
    return await world.client.post("/v1/chat/completions", content=body, headers=headers)


def streamed_zstd(data: bytes) -> bytes:
    """A frame that does not say how long it is, as clients write that compress while they send."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "zstd", "ZSTD", " gzip "])
async def test_a_packed_body_is_what_it_was(lasting_world: World, encoding: str) -> None:
    answer = await sent(lasting_world, PACK[encoding.strip().lower()](BODY), encoding)

    assert answer.status_code == 200


async def test_a_frame_of_unknown_length_is_taken(lasting_world: World) -> None:
    assert (await sent(lasting_world, streamed_zstd(BODY), "zstd")).status_code == 200


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_plain_bodies_may_say_so(lasting_world: World, encoding: str) -> None:
    assert (await sent(lasting_world, BODY, encoding)).status_code == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd, gzip", "aes128gcm", "\x1f"])
async def test_other_encodings_are_415_and_told_what_is_taken(lasting_world: World, encoding: str) -> None:
    answer = await sent(lasting_world, BODY, encoding)

    refused(answer, 415, "unsupported_encoding")
    assert answer.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize("encoding", FORMATS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: BODY,
        lambda packed: packed[:-1],
        lambda packed: packed[:9],
        lambda packed: packed[:6] + b"\xff" * 20 + packed[26:],
        lambda packed: packed + b"more",
        lambda packed: packed + packed,
    ],
    ids=["empty", "plain", "cut short", "header only", "damaged", "more after it", "twice"],
)
async def test_what_is_not_one_whole_frame_is_400(lasting_world: World, encoding: str, damage: Any) -> None:
    answer = await sent(lasting_world, damage(PACK[encoding](BODY)), encoding)

    error = refused(answer, 400, "invalid_encoding")
    assert encoding in error["message"]


@pytest.mark.parametrize("encoding", FORMATS)
async def test_a_body_that_was_read_as_text_on_its_way_is_400_and_says_how_to_send_it(
    lasting_world: World, encoding: str
) -> None:
    """As API Gateway hands over every body whose Content-Type it does not know as binary."""
    mangled = PACK[encoding](BODY).decode("utf-8", "replace").encode()
    answer = await sent(lasting_world, mangled, encoding)

    error = refused(answer, 400, "invalid_encoding")
    assert "Content-Type: application/octet-stream" in error["message"]


@pytest.mark.parametrize("pack", [gzip.compress, PACK["zstd"], streamed_zstd], ids=["gzip", "zstd", "zstd streamed"])
async def test_a_bomb_is_413(lasting_world: World, pack: Any) -> None:
    encoding = "gzip" if pack is gzip.compress else "zstd"
    bomb = pack(b" " * 200 * 1024 * 1024)
    assert len(bomb) < 300_000

    refused(await sent(lasting_world, bomb, encoding), 413, "request_too_large")


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_the_limit_is_that_of_plain_bodies(pack: Any) -> None:
    encoding = "zstd" if pack is PACK["zstd"] else "gzip"
    assert len(decoded(pack(b" " * MAX_BODY_BYTES), encoding, MAX_BODY_BYTES)) == MAX_BODY_BYTES
    with pytest.raises(BodyTooLarge):
        decoded(pack(b" " * (MAX_BODY_BYTES + 1)), encoding, MAX_BODY_BYTES)


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    """A header may ask for a window of gigabytes before a single byte is unpacked."""
    greedy = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    ).compressobj()
    packed = greedy.compress(b"x" * 1000) + greedy.flush()
    with pytest.raises(BadEncoding, match="8 MB"):
        decoded(packed, "zstd", MAX_BODY_BYTES)


def test_bare_deflate_is_not_gzip() -> None:
    with pytest.raises(BadEncoding):
        decoded(zlib.compress(BODY), "gzip", MAX_BODY_BYTES)


async def test_nobody_unpacks_for_a_stranger(lasting_world: World) -> None:
    answer = await lasting_world.client.post(
        "/v1/chat/completions", content=b"junk", headers={"content-encoding": "zstd"}
    )

    refused(answer, 401, "invalid_api_key")

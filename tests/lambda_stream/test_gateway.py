"""The front: what API Gateway does to requests and answers, and what a client sees of a function that fails."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from jatevo_testing.lambda_stream import answer_of, until

from jatevo_local.lambda_api import Api, FunctionSpec, LambdaFunction, RestApi, Route

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
async def classic(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LambdaFunction]:
    spec = FunctionSpec("classic", "classic_handler.handler", APPS, timeout_s=5)
    async with LambdaFunction(spec, tmp_path_factory.mktemp("logs")) as function:
        yield function


@pytest.fixture(scope="module")
async def client(zoo: LambdaFunction, classic: LambdaFunction) -> AsyncIterator[httpx.AsyncClient]:
    """Of an API whose streamed routes go to the zoo, those under /classic to a classic handler."""
    routes = [
        Route("ANY", "/classic/{proxy+}", classic),
        Route("POST", "/crossed", classic, streamed=True),
        Route("POST", "/echo-crossed", zoo),
        Route("ANY", "/{proxy+}", zoo, streamed=True),
    ]
    async with served(routes, Api(binary=("application/octet-stream",))) as client:
        yield client


@asynccontextmanager
async def served(routes: list[Route], api: Api | None = None) -> AsyncIterator[httpx.AsyncClient]:
    async with RestApi(routes, api) as front, httpx.AsyncClient(base_url=front.url) as client:
        yield client


async def test_a_streamed_answer_comes_through_piece_by_piece(client: httpx.AsyncClient) -> None:
    loop = asyncio.get_running_loop()
    async with client.stream("POST", "/slow") as response:
        arrived = [(loop.time(), piece) async for piece in response.aiter_raw()]
    assert b"".join(piece for _, piece in arrived) == b"01234"
    assert arrived[-1][0] - arrived[0][0] > 0.3
    assert response.headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("path", ["/fail-midway", "/incomplete"])
async def test_a_failure_midway_is_a_broken_transfer(client: httpx.AsyncClient, path: str) -> None:
    async with client.stream("POST", path) as response:
        assert response.status_code == 200
        pieces = response.aiter_raw()
        assert await anext(pieces)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            await anext(pieces)


@pytest.mark.parametrize("path", ["/fail-at-once", "/silent"])
async def test_a_failure_before_the_first_byte_is_the_gateways_502(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path)
    assert (response.status_code, response.json()) == (502, {"message": "Internal server error"})


async def test_requests_carry_the_stage_and_the_apis_own_host(client: httpx.AsyncClient) -> None:
    seen = (await client.post("/echo?a=%2F", content=b"x")).json()
    headers = dict(seen["headers"])
    assert (seen["path"], seen["root_path"], seen["query"]) == ("/echo", "/prod", "a=%2F")
    assert headers["host"] == "abcdef1234.execute-api.us-east-1.amazonaws.com"
    assert headers["x-forwarded-for"] == "127.0.0.1"


async def test_headers_are_dropped_on_the_way_in(client: httpx.AsyncClient) -> None:
    sent = {"authorization": "Bearer t", "te": "trailers", "upgrade": "websocket", "expect": "nothing", "x-a": "b"}
    headers = dict((await client.post("/echo", headers=sent)).json()["headers"])
    assert headers["authorization"] == "Bearer t"
    assert headers["x-a"] == "b"
    assert not headers.keys() & {"te", "upgrade", "expect", "connection", "transfer-encoding"}


async def test_a_signature_is_not_passed_on(client: httpx.AsyncClient) -> None:
    sent = {"authorization": "AWS4-HMAC-SHA256 Credential=x"}
    assert "authorization" not in dict((await client.post("/echo", headers=sent)).json()["headers"])


async def test_headers_are_renamed_on_the_way_out(client: httpx.AsyncClient) -> None:
    response = await client.get("/headers")
    assert response.headers["x-amzn-remapped-date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert response.headers["x-amzn-remapped-www-authenticate"] == "Bearer"
    assert response.headers.get_list("x-many") == ["one", "two"]
    assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]


async def test_bodies_are_taken_for_utf_8_unless_their_type_is_binary(client: httpx.AsyncClient) -> None:
    raw = b"\x28\xb5\x2f\xfd\xff"
    as_text = await client.post("/echo", content=raw, headers={"content-type": "application/zstd"})
    assert base64.b64decode(as_text.json()["body"]) == raw.decode("utf-8", "replace").encode() != raw
    as_binary = await client.post("/echo", content=raw, headers={"content-type": "application/octet-stream"})
    assert base64.b64decode(as_binary.json()["body"]) == raw


async def test_a_chunked_request_body_arrives_whole(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    assert base64.b64decode((await client.post("/echo", content=pieces())).json()["body"]) == b"one two"


@pytest.mark.parametrize("size", [5_000_000, 10 * 1024 * 1024 + 1])
async def test_what_does_not_fit_into_an_event_is_413(client: httpx.AsyncClient, size: int) -> None:
    body = b"\xff" * size if size < 6_000_000 else b"x" * size  # each lost byte takes three in the event
    response = await client.post("/echo", content=body, headers={"content-type": "text/plain"})
    assert (response.status_code, response.json()) == (413, {"message": "Request Too Long"})


async def test_what_just_fits_is_served(client: httpx.AsyncClient) -> None:
    response = await client.post("/echo", content=b"x" * 6_000_000)
    assert len(base64.b64decode(response.json()["body"])) == 6_000_000


async def test_unknown_routes_and_stages_are_the_gateways_403(zoo: LambdaFunction, client: httpx.AsyncClient) -> None:
    async with served([Route("GET", "/v1/{id}/x", zoo, streamed=True)]) as narrow:
        assert (await narrow.get("/v1/7/x")).status_code == 404  # the zoo's own
        for method, path in (("POST", "/v1/7/x"), ("GET", "/v1/7"), ("GET", "/v1/7/x/y")):
            response = await narrow.request(method, path)
            assert (response.status_code, response.json()["message"]) == (403, "Missing Authentication Token")
        outside = str(narrow.base_url).replace("/prod", "/other")
        assert (await narrow.get(outside)).json() == {"message": "Forbidden"}


async def test_an_empty_answer_keeps_its_status(client: httpx.AsyncClient) -> None:
    assert (await client.post("/empty")).status_code == 202
    no_content = await client.post("/no-content")
    assert (no_content.status_code, no_content.content) == (204, b"")


async def test_an_answer_of_known_length_keeps_it_and_head_has_no_body(client: httpx.AsyncClient) -> None:
    response = await client.get("/with-length")
    assert (response.headers["content-length"], response.content) == ("10", b"0123456789")
    head = await client.head("/with-length")
    assert (head.headers["content-length"], head.content) == ("10", b"")


async def test_a_client_that_leaves_is_invisible_to_the_function(
    zoo: LambdaFunction, client: httpx.AsyncClient
) -> None:
    before = (await answer_of(zoo, "/status"))["served"]
    async with client.stream("POST", "/slow") as response:
        await anext(response.aiter_raw())
    assert (await answer_of(zoo, "/status"))["served"] == before + 2  # and it came after the whole of the slow answer


async def test_a_slow_client_gets_all_of_a_large_answer(client: httpx.AsyncClient) -> None:
    sizes = [3_000_000] * 5
    received = 0
    async with client.stream("POST", "/chunks", content=json.dumps(sizes).encode()) as response:
        async for piece in response.aiter_raw():
            received += len(piece)
            if received < 3_000_000:
                await asyncio.sleep(0.01)
    assert received == sum(sizes)


async def test_a_streamed_route_that_takes_too_long_is_cut_off(zoo: LambdaFunction) -> None:
    async with served([Route("ANY", "/{proxy+}", zoo, streamed=True, timeout_s=0.25)]) as hasty:
        with pytest.raises(httpx.RemoteProtocolError):
            await hasty.post("/slow")


async def test_a_streamed_answer_that_falls_silent_is_cut_off(zoo: LambdaFunction) -> None:
    async with served([Route("ANY", "/{proxy+}", zoo, streamed=True, idle_timeout_s=0.05)]) as hasty:
        with pytest.raises(httpx.RemoteProtocolError):
            await hasty.post("/slow")


async def test_a_classic_handler_answers_whole(client: httpx.AsyncClient) -> None:
    response = await client.post("/classic/x?a=1&a=2", content=b"body", headers={"X-Own": "yes"})
    event = response.json()
    assert event["path"] == "/classic/x"
    assert event["pathParameters"] == {"proxy": "x"}
    assert event["requestContext"]["path"] == "/prod/classic/x"
    assert event["queryStringParameters"] == {"a": "2"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"]}
    assert event["multiValueHeaders"]["X-Own"] == ["yes"]
    assert (event["body"], event["isBase64Encoded"]) == ("body", False)


@pytest.mark.parametrize("path", ["/crossed", "/echo-crossed"])
async def test_an_answer_in_the_form_of_the_other_kind_of_route_is_502(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path)).status_code == 502


async def test_a_slow_classic_handler_is_504_and_runs_on(classic: LambdaFunction) -> None:
    async with served([Route("ANY", "/{proxy+}", classic, timeout_s=0.2)]) as hasty:
        response = await hasty.post("/sleep")
        assert (response.status_code, response.json()) == (504, {"message": "Endpoint request timed out"})
    await until(lambda: classic.environments[0].api.current is None)
    assert classic.cold_starts == 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /prod/echo HTTP/1.1\r\nno header\r\n\r\n", b"400"),
        (b"POST /prod/echo HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /prod/echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc", b"400"),
    ],
)
async def test_what_is_no_http_is_refused(zoo: LambdaFunction, raw: bytes, status: bytes) -> None:
    async with RestApi([Route("ANY", "/{proxy+}", zoo, streamed=True)]) as front:
        port = int(front.url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(raw)
        writer.write_eof()
        assert (await reader.read()).split()[1] == status
        writer.close()
        await writer.wait_closed()

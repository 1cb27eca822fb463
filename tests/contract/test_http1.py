"""The HTTP client of the request path: a request is sent at most once; a failure says whether it may have arrived."""

import asyncio
import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from jatevo_testing.raw_server import RawServer, Says, answer, raw_server, saying

from jatevo.adapters.http1.address import Address, address_of
from jatevo.adapters.http1.errors import ConnectionBroke, HttpFailure, NoAnswerInTime, NothingSent
from jatevo.adapters.http1.link import Origin
from jatevo.adapters.http1.pool import Pool
from jatevo_local.ports import free_port

MOST = 10_000_000


def request(body: bytes = b"{}") -> bytes:
    return b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


async def asked(
    pool: Pool, port: int, body: bytes = b"{}", *, within_s: float = 5.0, idle_s: float = 5.0, tls: bool = False
) -> tuple[int, bytes]:
    deadline = asyncio.get_running_loop().time() + within_s
    sent = request(body)
    async with pool.exchange(Origin(tls, "127.0.0.1", port), sent, deadline=deadline, idle_s=idle_s) as exchange:
        return exchange.status, await exchange.read_all(MOST)


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(connect_s=1.0, most=4, keep=4, keep_s=60.0)
    yield pool
    pool.disconnect()


WHOLE = {
    "with a length": answer(b"hello"),
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "after a promise": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" + answer(b"hello"),
    "with trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
}


@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_read_and_its_connection_used_again(pool: Pool, name: str) -> None:
    async with raw_server(saying(WHOLE[name])) as server:
        for _ in range(3):
            assert await asked(pool, server.port) == (200, b"hello")
    assert (server.connections, len(server.asked)) == (1, 3)


@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_may_come_byte_by_byte(pool: Pool, name: str) -> None:
    async def says(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        for byte in WHOLE[name]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_server(says) as server:
        assert await asked(pool, server.port) == (200, b"hello")


ENDS = {
    "says it closes": answer(b"hello", 200, "connection: close"),
    "speaks an older HTTP": b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "says more than it was asked": answer(b"hello") + answer(b"to whom?"),
}


@pytest.mark.parametrize("name", ENDS)
async def test_a_connection_that_is_not_to_be_trusted_is_used_once(pool: Pool, name: str) -> None:
    async with raw_server(saying(ENDS[name])) as server:
        for _ in range(3):
            assert await asked(pool, server.port) == (200, b"hello")
    assert server.connections == 3


async def test_the_end_of_the_connection_may_be_that_of_the_body(pool: Pool) -> None:
    async def says(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await writer.drain()
        writer.write(b"lo")

    async with raw_server(says) as server:
        assert await asked(pool, server.port) == (200, b"hello")


async def test_nothing_is_sent_to_who_does_not_listen(pool: Pool) -> None:
    with pytest.raises(NothingSent):
        await asked(pool, free_port())


async def test_a_name_that_leads_nowhere_is_nothing_sent(pool: Pool) -> None:
    deadline = asyncio.get_running_loop().time() + 5
    with pytest.raises(NothingSent):
        async with pool.exchange(Origin(tls=False, host="no.invalid", port=80), request(), deadline=deadline, idle_s=5):
            pass


def hanging_up(after: bytes) -> Says:
    async def says(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(after)
        await writer.drain()

    return says


_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
BROKEN = {
    "hangs up": b"",
    "hangs up in its head": b"HTTP/1.1 200 OK\r\ncontent-",
    "hangs up in its body": answer(b"hello")[:-2],
    "hangs up between chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
    "is no HTTP": b"220 ESMTP\r\n\r\n",
    "counts wrong": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhe\r\n",
    "has two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "changes the protocol": b"HTTP/1.1 101 Switch\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "has no end of headers": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000,
    "has no end of headers, each short": b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 40_000,
    "promises without end": b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n" * 10_000,
    "has a length and chunks": _CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n2\r\nhe\r\n0\r\n\r\n"),
    "has a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhello",
    "has a chunk of more bytes than there are": _CHUNKED + b"ffffffffffffffffff\r\nhe\r\n",
    "ends a line of its head with less": b"HTTP/1.1 200 OK\r\nx: a\rcontent-length: 0\r\n\r\n",
}


ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x: a\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nx: ", b"a"),
    "promises": (b"", b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\n"),
    "what a chunk says of itself": (_CHUNKED + b"2;x=", b"a"),
    "trailers": (_CHUNKED + b"2\r\nhe\r\n0\r\n", b"x: a\r\n"),
    "a trailer": (_CHUNKED + b"2\r\nhe\r\n0\r\nx: ", b"a"),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_has_no_end_is_given_up_at_its_size(pool: Pool, name: str) -> None:
    begin, more = ENDLESS[name]
    written = 0

    async def says(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await server.take(reader)
        writer.write(begin)
        while written < 50_000_000:
            writer.write(more * (100_000 // len(more)))
            written += 100_000
            await writer.drain()
        await asyncio.Event().wait()

    async with raw_server(says) as server:
        with pytest.raises(ConnectionBroke, match="too large"):
            await asked(pool, server.port)
    assert written < 20_000_000, "what the kernel holds, and no more"


async def test_what_follows_a_body_is_not_taken_for_its_head(pool: Pool) -> None:
    said = _CHUNKED + b"2\r\nhe\r\n0\r\ncontent-type: text/evil\r\nretry-after: 9\r\n\r\n"
    async with raw_server(saying(said)) as server:
        deadline = asyncio.get_running_loop().time() + 5
        origin = Origin(tls=False, host="127.0.0.1", port=server.port)
        async with pool.exchange(origin, request(), deadline=deadline, idle_s=5) as exchange:
            assert await exchange.read_all(MOST) == b"he"
            assert set(exchange.headers) == {"transfer-encoding"}


async def test_a_second_answer_to_one_request_is_nobodys(pool: Pool) -> None:
    async with raw_server(saying(answer(b"first") + answer(b"second"))) as server:
        for _ in range(2):
            assert await asked(pool, server.port) == (200, b"first")
    assert server.connections == 2, "who says more than was asked is not asked again on that connection"


@pytest.mark.parametrize("name", BROKEN)
async def test_an_answer_that_is_none_is_asked_for_once(pool: Pool, name: str) -> None:
    async with raw_server(hanging_up(BROKEN[name])) as server:
        with pytest.raises(ConnectionBroke):
            await asked(pool, server.port)
    assert len(server.asked) == 1


async def silent(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.take(reader)
    writer.write(answer(b"hello")[:-1])
    await asyncio.Event().wait()


@pytest.mark.parametrize("limit", [{"within_s": 0.05}, {"idle_s": 0.05}])
async def test_silence_is_waited_for_as_long_as_said(pool: Pool, limit: dict[str, float]) -> None:
    async with raw_server(silent) as server:
        with pytest.raises(NoAnswerInTime):
            await asked(pool, server.port, **limit)  # type: ignore[arg-type]
    assert len(server.asked) == 1


async def test_who_does_not_take_the_request_is_waited_for_as_long_as_said(pool: Pool) -> None:
    async def deaf(_: RawServer, __: asyncio.StreamReader, ___: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_server(deaf) as server:
        with pytest.raises(NoAnswerInTime):
            await asked(pool, server.port, b"x" * 30_000_000, within_s=0.1)


async def test_who_refuses_a_large_request_before_its_end_is_heard(pool: Pool) -> None:
    async def refuses(_: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"too large", 413, "connection: close"))
        await writer.drain()
        while await reader.read(65536):
            pass

    async with raw_server(refuses) as server:
        assert await asked(pool, server.port, b"x" * 30_000_000) == (413, b"too large")


@pytest.mark.parametrize("drains", [True, False])
async def test_who_refuses_a_large_request_on_a_kept_connection_is_heard_too(pool: Pool, drains: bool) -> None:  # noqa: FBT001
    async def refuses_the_second(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(answer(b"hello"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"too large", 413))
        await writer.drain()
        while drains and await reader.read(65536):
            pass

    async with raw_server(refuses_the_second) as server, raw_server(saying(answer(b"other"))) as other:
        assert await asked(pool, server.port) == (200, b"hello")
        refused = asyncio.create_task(asked(pool, server.port, b"x" * 30_000_000))
        await asyncio.sleep(0.05)
        assert await asked(pool, other.port) == (200, b"other"), "nobody else's connection suffers"
        assert await refused == (413, b"too large")
    assert server.connections == 1


async def test_a_connection_that_was_closed_meanwhile_is_not_sent_on(pool: Pool) -> None:
    async def closing(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(answer(b"hello"))

    async with raw_server(closing) as server:
        for _ in range(3):
            assert await asked(pool, server.port) == (200, b"hello")
            await asyncio.sleep(0.02)  # its end arrives
    assert (server.connections, len(server.asked)) == (3, 3)


async def test_a_request_on_a_connection_that_closes_at_that_moment_is_not_sent_again(pool: Pool) -> None:
    async def once_each(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(answer(b"hello"))
        await server.take(reader)

    async with raw_server(once_each) as server:
        await asked(pool, server.port)
        with pytest.raises(ConnectionBroke):
            await asked(pool, server.port)
    assert (server.connections, len(server.asked)) == (1, 2)


async def test_who_leaves_in_the_middle_leaves_no_connection_behind(pool: Pool) -> None:
    async with raw_server(silent) as server:
        for _ in range(8):  # more than may be open at once
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await asked(pool, server.port)
        server.says = saying(answer(b"hello"))
        assert await asked(pool, server.port) == (200, b"hello")


async def test_more_than_may_be_open_at_once_wait_for_their_turn(pool: Pool) -> None:
    async with raw_server(saying(answer(b"hello"))) as server:
        answers = await asyncio.gather(*(asked(pool, server.port) for _ in range(20)))
    assert answers == [(200, b"hello")] * 20
    assert server.connections <= 4


async def test_a_reader_who_dawdles_is_not_sent_everything(pool: Pool) -> None:
    written = 0

    async def flooding(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await server.take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
        for _ in range(500):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    async with raw_server(flooding) as server:
        deadline = asyncio.get_running_loop().time() + 30
        origin = Origin(tls=False, host="127.0.0.1", port=server.port)
        async with pool.exchange(origin, request(), deadline=deadline, idle_s=0.2) as exchange:
            await asyncio.sleep(0.4)  # longer than the silence that is waited for: nobody waits
            assert written < 20_000_000, "what the kernel holds, and no more"
            size = 0
            while data := await exchange.read():
                size += len(data)
    assert size == 50_000_000


async def test_a_body_larger_than_allowed_is_given_up(pool: Pool) -> None:
    async with raw_server(saying(answer(b"x" * 1000))) as server:
        deadline = asyncio.get_running_loop().time() + 5
        origin = Origin(tls=False, host="127.0.0.1", port=server.port)
        async with pool.exchange(origin, request(), deadline=deadline, idle_s=5) as exchange:
            with pytest.raises(ConnectionBroke):
                await exchange.read_all(999)


def test_what_is_kept_serves_the_next_event_loop(event_server: RawServer) -> None:
    pool = Pool(connect_s=1.0, most=4, keep=4, keep_s=60.0)
    for _ in range(3):
        assert asyncio.run(asked(pool, event_server.port)) == (200, b"hello")
    pool.disconnect()
    assert event_server.connections == 1


@pytest.fixture
def event_server() -> Iterator[RawServer]:
    """A server that outlives event loops: it runs in a thread of its own."""
    ready, told, ends = threading.Event(), list[RawServer](), list[Callable[[], object]]()

    async def serve() -> None:
        async with raw_server(saying(answer(b"hello"))) as server:
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            told.append(server)
            ends.append(lambda: loop.call_soon_threadsafe(done.set))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    yield told[0]
    ends[0]()
    thread.join()


ADDRESSES = {
    "https://api.example.com/v1/chat": Address(
        Origin(tls=True, host="api.example.com", port=443), "api.example.com", "/v1/chat"
    ),
    "http://127.0.0.1:8000": Address(Origin(tls=False, host="127.0.0.1", port=8000), "127.0.0.1:8000", "/"),
    "http://[::1]:8000/v1": Address(Origin(tls=False, host="::1", port=8000), "[::1]:8000", "/v1"),
    "https://x:443/a b": Address(Origin(tls=True, host="x", port=443), "x", "/a%20b"),
    "https://x/a%20b": Address(Origin(tls=True, host="x", port=443), "x", "/a%20b"),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_is_taken_apart(url: str) -> None:
    assert address_of(url) == ADDRESSES[url]


@pytest.mark.parametrize("url", ["ftp://x", "https://", "127.0.0.1:8000", "http://x:70000", "http://ü"])
def test_an_address_that_is_none_is_said(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        address_of(url)


# Under TLS.


class Authority:
    """Signs certificates for loopback, or for a name."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        address: x509.GeneralName = (
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(who)
            .issuer_name(who)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.file)
        self.client = ssl.create_default_context(cafile=self.file)


def secured(authority: Authority) -> Pool:
    return Pool(connect_s=5.0, most=4, keep=4, keep_s=60.0, context=authority.client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_large_bodies_go_both_ways_under_tls(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    authority.server.maximum_version = authority.server.minimum_version = version
    pool, body = secured(authority), b"0123456789" * 300_000
    async with raw_server(saying(answer(body)), authority.server) as server:
        for _ in range(3):
            assert await asked(pool, server.port, body, tls=True) == (200, body)
        pool.disconnect()
    assert server.connections == 1
    assert all(one.endswith(body) for one in server.asked)


async def test_a_server_under_another_name_or_of_an_unknown_authority_is_sent_nothing(tmp_path: Path) -> None:
    other, unknown = Authority(tmp_path, "other.test"), Authority(tmp_path, "127.0.0.1")
    for server_side, pool in [(other, secured(other)), (unknown, Pool(connect_s=5, most=4, keep=4, keep_s=60))]:
        async with raw_server(saying(answer(b"")), server_side.server) as server:
            with pytest.raises(NothingSent):
                await asked(pool, server.port, tls=True)
        assert not server.asked


async def test_a_server_that_speaks_no_tls_is_sent_nothing(pool: Pool) -> None:
    async with raw_server(saying(answer(b""))) as server:
        with pytest.raises(NothingSent):
            await asked(pool, server.port, tls=True, within_s=0.5)
    assert not server.asked


async def test_a_connection_that_is_cut_under_tls_is_a_broken_answer(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "127.0.0.1")
    pool = secured(authority)

    async def cutting(server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(answer(b"hello")[:-2])
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.transport.abort()

    async with raw_server(cutting, authority.server) as server:
        with pytest.raises(HttpFailure):
            await asked(pool, server.port, tls=True)
    assert len(server.asked) == 1

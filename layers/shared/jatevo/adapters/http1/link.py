"""
A connected stream socket, plain or under TLS, that outlives the event loop it was used in.

asyncio's own transports stay with the loop that made them. A function that runs a loop for each event keeps its
connections only so, and a snapshot can let go of them without one. Between two uses in one loop it stays known to that:
to be added and removed for each answer would cost more than to read one.
"""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

_PIECE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect. `host`: a name, or an address without brackets."""

    tls: bool
    host: str
    port: int


class Link:
    """One connection. Made by `connected`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._tls: _Tls | None = None
        self._reading_in: asyncio.AbstractEventLoop | None = None
        self._on_data: Callable[[bytes | memoryview], None] | None = None
        self._buffer = bytearray(_PIECE_BYTES)
        self.idle_since = 0.0

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Put TLS over it, and check that the peer is `host`. Raises OSError, of which ssl.SSLError is one."""
        loop, tls = asyncio.get_running_loop(), _Tls(context, host)
        while not tls.shakes_hands():
            await loop.sock_sendall(self._sock, tls.to_send())
            tls.received(await loop.sock_recv(self._sock, _PIECE_BYTES))
        await loop.sock_sendall(self._sock, tls.to_send())
        self._tls = tls

    def send_some(self, data: bytes) -> bytes:
        """
        Send what the kernel takes at once, and return the rest, for `send_rest`. Raises OSError: then it took nothing.
        """
        if self._tls is not None:
            data = self._tls.packed(data)
        try:
            return data[self._sock.send(data) :]
        except BlockingIOError:
            return data

    async def send_rest(self, data: bytes) -> None:
        """Send what `send_some` left; an answer that comes meanwhile waits in the kernel. Raises OSError."""
        self.stop_reading()
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def start_reading(self, on_data: Callable[[bytes | memoryview], None]) -> None:
        """Call `on_data` with what comes, and with nothing when no more will; the view is good during the call."""
        self._on_data = on_data
        loop = asyncio.get_running_loop()
        if self._reading_in is not loop:
            self.stop_reading()
            self._reading_in = loop
            loop.add_reader(self._sock, self._readable)

    def rest(self) -> None:
        """Nothing more is asked for: it is closed when something comes all the same, or the peer closes it."""
        self._on_data = None

    def stop_reading(self) -> None:
        """Leave what comes to the kernel."""
        loop, self._reading_in = self._reading_in, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._sock)

    def is_quiet(self) -> bool:
        """Return whether it is open, and the peer has neither closed it nor said what nobody asked for."""
        if self._sock.fileno() < 0:
            return False
        watch = select.poll()
        watch.register(self._sock, select.POLLIN)
        return not watch.poll(0)

    def close(self) -> None:
        """Close it, at once."""
        self.stop_reading()
        self._sock.close()

    def _readable(self) -> None:
        try:
            size = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        data = memoryview(self._buffer)[:size]
        if self._tls is None or not size:
            self._give(data)
            return
        self._tls.received(data)
        for piece in self._tls.unpacked():
            self._give(piece)
        if answer := self._tls.to_send():  # a change of keys, say; the kernel has room for the few bytes
            with contextlib.suppress(OSError):
                self._sock.send(answer)

    def _give(self, data: bytes | memoryview) -> None:
        if self._on_data is None:
            self.close()
        else:
            self._on_data(data)


class _Tls:
    """TLS apart from any socket."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    def shakes_hands(self) -> bool:
        """Return whether the handshake is complete; else there may be something to send, and more must come."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def received(self, data: bytes | memoryview) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def packed(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def unpacked(self) -> list[bytes]:
        """Return what can be read; an empty piece is the end."""
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(_PIECE_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return pieces
        except ssl.SSLError:
            pass
        return [*pieces, b""]

    def to_send(self) -> bytes:
        return self._outgoing.read()


async def connected(origin: Origin, context: Callable[[], ssl.SSLContext]) -> Link:
    """Connect to the first of a name's addresses that lets us. Raises OSError."""
    failure: OSError | None = None
    for family, kind, protocol, _, address in await _addresses(origin):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)  # noqa: FBT003 - its one argument
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await asyncio.get_running_loop().sock_connect(sock, address)
            link = Link(sock)
            if origin.tls:
                await link.secure(context(), origin.host)
            return link
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure or OSError("the name has no address")


async def _addresses(origin: Origin) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    try:  # an address needs no thread to look it up
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    return found  # type: ignore[return-value]  # an IPv6 address has four parts; nobody looks

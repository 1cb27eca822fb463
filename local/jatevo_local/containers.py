"""
How containers reach what listens on this machine's loopback.

`sam local` puts its containers on the bridge network, where loopback is their own: `--docker-network host` is ignored
by the version we use. So the ports they need are opened on the bridge's address as well, which nobody but containers
can reach, and passed on to loopback. Docker Desktop does that by itself, under a name.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence

from jatevo_local.errors import StackError
from jatevo_local.ports import LOOPBACK

DOCKER_DESKTOP = "host.docker.internal"
_PODMAN = "10.88.0.1"
_DOCKER_BRIDGE = b"docker0"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR
_BIND_ABSENT = 15  # IP_FREEBIND: Podman's bridge comes with its first container and goes with its last
_PIECE_BYTES = 64 * 1024


def usual_host() -> str:
    """Return where containers find this machine, unless somebody set it up otherwise: Docker's bridge, or Podman's."""
    if not sys.platform.startswith("linux"):
        return DOCKER_DESKTOP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            found = fcntl.ioctl(any_socket, _GET_ADDRESS, struct.pack("256s", _DOCKER_BRIDGE))
        except OSError:
            return _PODMAN
    return socket.inet_ntoa(found[20:24])


def open_to_containers(host: str, ports: Sequence[int]) -> None:
    """
    Open `ports` of loopback on `host` too, for as long as this process lives. Raises StackError.

    A name, such as Docker Desktop's, and loopback itself need no opening.
    """
    if host == LOOPBACK or not _is_address(host):
        return
    sockets = [(_listening(host, port), port) for port in ports]
    threading.Thread(target=lambda: asyncio.run(_pass_on(sockets)), name="containers", daemon=True).start()


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform.startswith("linux"):
        listening.setsockopt(socket.IPPROTO_IP, _BIND_ABSENT, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who connects from now on waits for the thread that takes it
    except OSError as error:
        listening.close()
        raise StackError(f"cannot listen on {host}:{port} for containers: {error.strerror}") from error
    return listening


async def _pass_on(sockets: Sequence[tuple[socket.socket, int]]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for listening, port in sockets:
            await stack.enter_async_context(await asyncio.start_server(_to(port), sock=listening))
        await asyncio.Event().wait()


def _to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            theirs, ours = await asyncio.open_connection(LOOPBACK, port)
            with contextlib.closing(ours):
                await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))

    return connected


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until its end, and tell the other side of the end."""
    while data := await reader.read(_PIECE_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()

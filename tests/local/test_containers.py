"""What listens on loopback is reached on another address too, by those who know that address and nobody else."""

import socket
import threading
from collections.abc import Iterator

import pytest

from jatevo_local import containers
from jatevo_local.errors import StackError
from jatevo_local.ports import LOOPBACK, accepts_connections

ELSEWHERE = "127.0.0.2"
"""Stands for a bridge's address: another address of this machine, and only of this machine."""


@pytest.fixture
def echo() -> Iterator[int]:
    """Something that listens on loopback: it answers what it was sent, once its client has said all."""
    with socket.create_server((LOOPBACK, 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(everything(connection))

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def asked(port: int, data: bytes) -> bytes:
    with socket.create_connection((ELSEWHERE, port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def test_bytes_go_both_ways_and_ends_are_passed_on(echo: int) -> None:
    containers.open_to_containers(ELSEWHERE, [echo])

    assert asked(echo, b"hello") == b"hello"
    assert asked(echo, b"x" * 1_000_000) == b"x" * 1_000_000


def test_nothing_is_opened_for_a_name_or_for_loopback_itself(echo: int) -> None:
    for host in ("host.docker.internal", LOOPBACK):
        containers.open_to_containers(host, [echo])

    with pytest.raises(ConnectionRefusedError):
        asked(echo, b"hello")


def test_an_address_taken_by_another_program_is_one_line(echo: int) -> None:
    with socket.create_server((ELSEWHERE, echo)), pytest.raises(StackError, match=r"^cannot listen on 127\.0\.0\.2:"):
        containers.open_to_containers(ELSEWHERE, [echo])


def test_an_address_that_has_no_bridge_yet_can_be_listened_on(echo: int) -> None:
    """Podman's bridge comes with its first container."""
    if containers.usual_host() == containers.DOCKER_DESKTOP:
        pytest.skip("Docker Desktop needs no address")
    containers.open_to_containers("192.0.2.77", [echo])

    assert accepts_connections(echo)

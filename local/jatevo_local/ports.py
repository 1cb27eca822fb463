"""
Ports on this machine's loopback address.

Whether a port is free can change the moment after one asks: `require_free` is there to give a person a clear line, and
the program that binds the port still has to succeed.
"""

import http.client
import socket

from jatevo_local.errors import StackError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """
    A port that nobody listens on, chosen by the kernel.
    """
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, purpose: str, remedy: str = "") -> None:
    """
    Raises `StackError` when another program listens on `port`, or when this user may not listen there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            why = "is taken" if not isinstance(error, PermissionError) else "needs more rights than you have"
            raise StackError(f"port {port}, wanted for {purpose}, {why}{'; ' + remedy if remedy else ''}") from error


def accepts_connections(port: int) -> bool:
    """
    Somebody listens on `port`.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def answers(port: int, path: str) -> bool:
    """
    A GET of `path` on `port` is answered with status 200.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

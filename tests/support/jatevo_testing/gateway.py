"""
Gateways in processes of their own: the inference app behind uvicorn, wired as the functions wire it.

The processes are forked from a server that has imported everything once, so that a dozen of them start in a second.
None outlives the test run, however it ends.
"""

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import TYPE_CHECKING, cast

import uvicorn

from jatevo.bootstrap import Gateway, Settings
from jatevo_inference.handler import create_app
from jatevo_local.engine import AWS_ENVIRONMENT
from jatevo_local.ports import LOOPBACK
from jatevo_local.with_parent import bind_to
from jatevo_testing.doom import Doom, Doomed

if TYPE_CHECKING:
    from jatevo.adapters.dynamodb.ledger import DynamoLedger
    from jatevo.adapters.dynamodb.windows import DynamoWindows

FORKS = multiprocessing.get_context("forkserver")
# Whatever is installed and slow to import; modules on the tests' own path are not found there.
FORKS.set_forkserver_preload(
    [
        "asyncio",
        "boto3",
        "httpx",
        "jatevo.adapters.upstream.http",
        "jatevo.application.inference",
        "jatevo_inference.handler",
        "uvicorn.lifespan.on",
        "uvicorn.protocols.http.h11_impl",
    ]
)
_HELLO_S, _GOODBYE_S = 30.0, 10.0


class GatewayProcess:
    """One gateway, serving until it is ended or kills itself."""

    def __init__(self, settings: Settings, doom: Doom | None) -> None:
        self._told, teller = FORKS.Pipe(duplex=False)
        self._process: ForkServerProcess = FORKS.Process(target=serve, args=(teller, settings, doom), daemon=True)
        self._process.start()
        teller.close()

    @cached_property
    def port(self) -> int:
        """The port it listens on; waits until it does."""
        assert self._told.poll(_HELLO_S), "it did not start"
        port: int = self._told.recv()
        self._told.close()
        return port

    @property
    def base_url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def was_killed(self) -> bool:
        return self._process.exitcode == -signal.SIGKILL

    def end(self) -> None:
        """Ask it to settle what is under way, and end."""
        if self._process.is_alive():
            self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended by itself."""
        self._process.join(_GOODBYE_S)
        assert self._process.exitcode is not None, "it did not end"

    def bury(self) -> None:
        """Wait until it has ended, but not for ever."""
        self._process.join(_GOODBYE_S)
        self._process.kill()
        self._process.join(_GOODBYE_S)
        self._process.close()


@asynccontextmanager
async def gateways(settings: Settings, dooms: Sequence[Doom | None]) -> AsyncIterator[list[GatewayProcess]]:
    """Run a gateway for each doom (None: it lives on), and end those that are left."""
    running = [GatewayProcess(settings, doom) for doom in dooms]
    try:
        for gateway in running:
            await asyncio.to_thread(getattr, gateway, "port")
        yield running
    finally:
        for gateway in running:
            gateway.end()
        for gateway in running:
            gateway.bury()


def serve(teller: Connection, settings: Settings, doom: Doom | None) -> None:
    """Serve a gateway on a port of the kernel's choice, and tell which: what its process does."""
    bind_to(os.getppid())
    os.environ |= AWS_ENVIRONMENT
    gateway = Gateway(settings)
    if doom is not None:
        gateway.windows = cast("DynamoWindows", Doomed(gateway.windows, doom))
        gateway.ledger = cast("DynamoLedger", Doomed(gateway.ledger, doom))
    server = uvicorn.Server(uvicorn.Config(create_app(gateway), log_level="error", ws="none", proxy_headers=False))
    listening = socket.create_server((LOOPBACK, 0), backlog=2048)
    teller.send(listening.getsockname()[1])
    teller.close()
    server.run(sockets=[listening])

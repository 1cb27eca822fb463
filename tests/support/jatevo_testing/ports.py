"""Several free ports at once, all different."""

import socket
from contextlib import ExitStack

from jatevo_local.ports import LOOPBACK


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on, held together until the last is chosen."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]

"""
Several nodes of one chain: the first that gives a usable answer is believed, and asked first the next time.

What makes an answer unusable is `NodeFailed`; its text, and so the text of `ChainUnavailable`, names nodes by their
place in the settings and never by their address, which may hold a key.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from jatevo.application.holdings import ChainUnavailable

_log = logging.getLogger(__name__)


class NodeFailed(Exception):
    """A node does not answer, is not of the chain, lags behind, or says what cannot be."""


class CallFailed(NodeFailed):
    """A node ran a contract, and the contract failed."""


class Nodes[N]:
    """Nodes in the order of the settings; `connect` makes what speaks to one from its address, when first needed."""

    def __init__(self, addresses: Callable[[], Sequence[str]], connect: Callable[[str], N]) -> None:
        self._addresses = addresses
        self._connect = connect
        self._connected: dict[str, N] = {}
        self._preferred = 0

    async def first[T](self, ask: Callable[[N], Awaitable[T]]) -> T:
        """Return what the first node answers that gives a usable answer. Raises ChainUnavailable."""
        addresses = await asyncio.to_thread(self._addresses)  # they may be secrets that are fetched
        failures = []
        for turn in range(len(addresses)):
            place = (self._preferred + turn) % len(addresses)
            try:
                answer = await ask(self._node(addresses[place]))
            except NodeFailed as failure:
                _log.warning("node %d: %s", place + 1, failure)
                failures.append(f"node {place + 1}: {failure}")
            else:
                self._preferred = place
                return answer
        raise ChainUnavailable("; ".join(failures) or "no node is configured")

    def _node(self, address: str) -> N:
        if address not in self._connected:
            self._connected[address] = self._connect(address)
        return self._connected[address]


def check_fresh(unix_s: int, now_unix_s: int, lag_s: int) -> None:
    """Raise NodeFailed when a node is further than `lag_s` behind, or ahead; 0: any age will do."""
    if lag_s and abs(now_unix_s - unix_s) > lag_s:
        raise NodeFailed(f"its latest moment is {abs(now_unix_s - unix_s)} s from now; at most {lag_s} are allowed")

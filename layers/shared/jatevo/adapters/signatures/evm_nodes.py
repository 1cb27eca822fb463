"""
The nodes of a chain, asked to run one call: the first that answers and does not lag behind, for one that is stuck would
vouch for the owners that a wallet once had. Blocks, so it is used in a thread.
"""

import logging
from collections.abc import Sequence
from typing import Any

from jatevo.adapters.chains.evm_node import EvmNode
from jatevo.adapters.chains.nodes import CallFailed, NodeFailed, check_fresh
from jatevo.adapters.signatures.contract_wallets import Reverted
from jatevo.application.holdings import ChainUnavailable
from jatevo.application.ports import Clock

_log = logging.getLogger(__name__)

_TIMEOUT_S = 5.0


class EvmNodes:
    """
    The nodes of one chain, tried in their order; named by their place, as addresses may be secret. `lag_s` as in
    `check_fresh`.
    """

    def __init__(self, urls: Sequence[str], chain_id: int, clock: Clock, *, lag_s: int) -> None:
        self._nodes = [EvmNode(url, chain_id=chain_id, timeout_s=_TIMEOUT_S) for url in urls]
        self._clock = clock
        self._lag_s = lag_s

    def call(self, method: str, parameters: Sequence[Any]) -> str:
        """Return the result, hexadecimal. Raises Reverted, ChainUnavailable."""
        for place, node in enumerate(self._nodes):
            try:
                if self._lag_s:
                    check_fresh(node.block("latest").unix_s, self._clock.now_ms() // 1000, self._lag_s)
                return str(node.ask(method, parameters))
            except CallFailed:
                raise Reverted from None
            except NodeFailed as failure:
                _log.warning("node %d: %s", place + 1, failure)
        raise ChainUnavailable("no node of the chain answers")

"""The nodes of a chain, asked to run one call: the first that answers. Blocks, so it is used in a thread."""

import logging
from collections.abc import Sequence
from typing import Any

from jatevo.adapters.chains.evm_node import EvmNode
from jatevo.adapters.chains.nodes import CallFailed, NodeFailed
from jatevo.adapters.signatures.contract_wallets import Reverted
from jatevo.application.holdings import ChainUnavailable

_log = logging.getLogger(__name__)

_TIMEOUT_S = 5.0


class EvmNodes:
    """The nodes of one chain, tried in their order; named by their place, as addresses may be secret."""

    def __init__(self, urls: Sequence[str], chain_id: int) -> None:
        self._nodes = [EvmNode(url, chain_id=chain_id, timeout_s=_TIMEOUT_S) for url in urls]

    def call(self, method: str, parameters: Sequence[Any]) -> str:
        """Return the result, hexadecimal. Raises Reverted, ChainUnavailable."""
        for place, node in enumerate(self._nodes):
            try:
                return str(node.ask(method, parameters))
            except CallFailed:
                raise Reverted from None
            except NodeFailed as failure:
                _log.warning("node %d: %s", place + 1, failure)
        raise ChainUnavailable("no node of the chain answers")

"""
A chain's nodes, asked through web3: the first that answers. None is asked before it was seen to be of the right chain.
"""

import logging
from collections.abc import Sequence
from typing import Any

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from jatevo.adapters.signatures.contract_wallets import Reverted
from jatevo.application.holdings import ChainUnavailable

_log = logging.getLogger(__name__)
logging.getLogger("web3").setLevel(logging.WARNING)  # it would log addresses, which may hold a key

_TIMEOUT_S = 5.0
_REVERTED = 3
_RAN_AND_FAILED = ("revert", "out of gas", "outofgas", "opcode", "stack", "invalid jump", "invalidjump")
"""How nodes put it that a call ran and failed, where they do not use the code for it."""


class EvmNodes:
    """The nodes of one chain, in the order in which they are tried. Blocks: call it in a thread."""

    def __init__(self, urls: Sequence[str], chain_id: int) -> None:
        self._nodes = [HTTPProvider(url, {"timeout": _TIMEOUT_S}, exception_retry_configuration=None) for url in urls]
        self._chain_id = chain_id
        self._known: set[int] = set()

    def call(self, method: str, parameters: Sequence[Any]) -> str:
        """Return the result, hexadecimal. Raises Reverted, ChainUnavailable."""
        for place, node in enumerate(self._nodes):
            try:
                if place not in self._known:
                    self._recognise(place, node)
                return _asked(node, method, parameters)
            except (requests.RequestException, Web3Exception, ValueError, _Failed) as error:
                _log.warning("node %d of chain %d does not answer: %s", place, self._chain_id, type(error).__name__)
        raise ChainUnavailable("no node of the chain answers")

    def _recognise(self, place: int, node: HTTPProvider) -> None:
        found = int(_asked(node, "eth_chainId", ()), 16)
        if found != self._chain_id:
            _log.error("node %d is of chain %d, not %d", place, found, self._chain_id)
            raise _Failed
        self._known.add(place)


class _Failed(Exception):
    """A node gave no result."""


def _asked(node: HTTPProvider, method: str, parameters: Sequence[Any]) -> str:
    answer = node.make_request(RPCEndpoint(method), parameters)
    error: Any = answer.get("error")
    if error is not None:
        code, text = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
        failed = any(words in str(text).lower() for words in _RAN_AND_FAILED)
        raise Reverted if code == _REVERTED or failed else _Failed
    result = answer.get("result")
    if not isinstance(result, str):
        raise _Failed
    return result

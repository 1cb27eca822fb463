"""One node of an EVM chain, through web3. Imported only where an EVM chain is read: web3 costs half a second."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from jatevo.adapters.chains.nodes import CallFailed, NodeFailed
from jatevo.domain.holdings import Moment

logging.getLogger("web3").setLevel(logging.WARNING)  # it would log addresses, which may hold a key

_REVERTED = 3
_FAILURES = ("revert", "out of gas", "outofgas", "opcode", "stack", "invalid jump", "invalidjump")


class EvmNode:
    """JSON-RPC to a node, once it has proved to be of the right chain. Every error is NodeFailed."""

    def __init__(self, address: str, *, chain_id: int, timeout_s: float) -> None:
        self._provider = HTTPProvider(address, {"timeout": timeout_s}, exception_retry_configuration=None)
        self._chain_id = chain_id
        self._is_known = False

    def ask(self, method: str, parameters: Sequence[Any]) -> Any:
        """Return the result of a method."""
        self._recognise()
        return self._ask(method, parameters)

    def ask_all(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Return the results of several calls, in their order, sent as one."""
        self._recognise()
        try:
            answers = self._provider.make_batch_request([(RPCEndpoint(name), list(given)) for name, given in calls])
        except (requests.RequestException, Web3Exception, ValueError, KeyError, TypeError) as error:
            raise NodeFailed(f"{calls[0][0]}: {type(error).__name__}") from None
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise NodeFailed(f"{calls[0][0]}: it takes no batches, or not of {len(calls)}")
        return [_result(calls[0][0], answer) for answer in answers]

    def block(self, which: int | str) -> Moment:
        """Return a block."""
        name = which if isinstance(which, str) else hex(which)
        block = self.ask("eth_getBlockByNumber", [name, False])
        try:
            height, time = int(block["number"], 16), int(block["timestamp"], 16)
            moment = Moment(height, time, str(block["hash"]))
        except (KeyError, TypeError, ValueError):
            raise NodeFailed("eth_getBlockByNumber: no such block") from None
        if isinstance(which, int) and height != which:
            raise NodeFailed("eth_getBlockByNumber: another block")
        return moment

    def logged_amounts(self, contract: str, topics: Sequence[str | None], first: int, last: int) -> Iterator[int]:
        """Yield the one number that each log of a contract from one block to another carries as its data."""
        wanted = {"address": contract, "topics": list(topics), "fromBlock": hex(first), "toBlock": hex(last)}
        logs = self.ask("eth_getLogs", [wanted])
        if not isinstance(logs, list):
            raise NodeFailed("eth_getLogs: no list")
        for log in logs:
            try:
                yield int(log["data"], 16)
            except (KeyError, TypeError, ValueError):
                raise NodeFailed("eth_getLogs: a log without a number") from None

    def _recognise(self) -> None:
        if self._is_known:
            return
        try:
            found = int(self._ask("eth_chainId", []), 16)
        except (TypeError, ValueError):
            raise NodeFailed("eth_chainId: no number") from None
        if found != self._chain_id:
            raise NodeFailed(f"it is of chain {found}, not of {self._chain_id}")
        self._is_known = True

    def _ask(self, method: str, parameters: Sequence[Any]) -> Any:
        try:
            answer = self._provider.make_request(RPCEndpoint(method), list(parameters))
        except (requests.RequestException, Web3Exception, ValueError, KeyError, TypeError) as error:
            raise NodeFailed(f"{method}: {type(error).__name__}") from None
        return _result(method, answer)


def _result(method: str, answer: Any) -> Any:
    if isinstance(answer, dict) and _ran_and_failed(answer.get("error")):
        raise CallFailed(f"{method}: the call failed")
    if not isinstance(answer, dict) or "result" not in answer or answer.get("error") is not None:
        raise NodeFailed(f"{method}: refused")
    return answer["result"]


def _ran_and_failed(error: Any) -> bool:
    """Return whether an error says that a contract was run: nodes put it in many ways, most without the code for it."""
    if not isinstance(error, dict):
        return False
    text = str(error.get("message")).lower()
    return error.get("code") == _REVERTED or any(words in text for words in _FAILURES)

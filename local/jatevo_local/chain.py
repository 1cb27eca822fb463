"""
An EVM chain on this machine: anvil, and a way to deploy contracts on it and to call them.

anvil's own accounts are funded and unlocked; `as_anybody` lets a call be sent from any address, and `send_signed` sends
one that is signed here, as wallets do. A block is made for each transaction, and old blocks can still be asked for
balances.
"""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_account import Account
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address

from jatevo_local.contracts import contract
from jatevo_local.engine import PACKAGES, url
from jatevo_local.errors import StackError
from jatevo_local.ports import LOOPBACK
from jatevo_local.processes import Child, Children, Program

CHAIN_ID = 31337
_GAS = 5_000_000
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "win32"}
_CPUS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class ChainError(Exception):
    """The chain refused a call or a transaction; the text is its own."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that is ready."""

    url: str
    chain_id: int
    process: Child


def anvil() -> Path | None:
    """Return anvil's binary for this machine, or None."""
    system, cpu = _SYSTEMS.get(sys.platform, ""), _CPUS.get(platform.machine().lower(), "")
    binary = PACKAGES / "@foundry-rs" / f"anvil-{system}-{cpu}" / "bin" / "anvil"
    return binary if os.access(binary, os.X_OK) else None


def start_chain(children: Children, port: int, state: Path | None = None, *, chain_id: int = CHAIN_ID) -> Chain:
    """Start anvil; with `state`, a file, its chain is found again at the next start. Raises StackError."""
    binary = anvil()
    if binary is None:
        raise StackError(f"anvil is not installed for {sys.platform} on {platform.machine()}; run `make setup`")
    argv = [str(binary), "--host", LOOPBACK, "--port", str(port), "--chain-id", str(chain_id), "--quiet"]
    if state is not None:
        state.parent.mkdir(parents=True, exist_ok=True)
        argv += ["--state", str(state), "--state-interval", "5", "--preserve-historical-states"]
    program = Program("anvil", argv, ready=lambda: _is_ready(port, chain_id))
    return Chain(url(port), chain_id, children.start(program))


def _is_ready(port: int, chain_id: int) -> bool:
    try:
        with Node(url(port)) as node:
            return int(node.ask("eth_chainId"), 16) == chain_id
    except (httpx.HTTPError, ChainError):
        return False


class Node:
    """JSON-RPC to a chain of this machine."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=10, trust_env=False)

    def ask(self, method: str, *parameters: Any) -> Any:
        """Return the result of a method. Raises ChainError."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = self._client.post("", json=body).json()
        if "error" in answer:
            raise ChainError(answer["error"].get("message", "refused"))
        return answer["result"]

    def accounts(self) -> list[str]:
        """Return addresses whose transactions the chain signs itself. The first one deploys."""
        return [str(account) for account in self.ask("eth_accounts")]

    def deploy(self, name: str, *arguments: Any) -> str:
        """Deploy `local/contracts/<name>.vy` and return its address."""
        made = contract(name)
        data = made.creation + encode(made.inputs(""), arguments).hex()
        receipt = self._sent({"data": data, "from": self.accounts()[0]})
        _block_of(receipt)
        return to_checksum_address(receipt["contractAddress"])

    def send(self, name: str, address: str, function: str, *arguments: Any, sender: str | None = None) -> int:
        """Call a function of a contract in a transaction and return the number of its block."""
        data = _calldata(name, function, arguments)
        return _block_of(self._sent({"to": address, "data": data, "from": sender or self.accounts()[0]}))

    def send_signed(self, key: bytes, name: str, address: str, function: str, *arguments: Any) -> int:
        """Do so in a transaction signed with a private key."""
        sender = Account.from_key(key)
        transaction = {
            "to": address,
            "data": _calldata(name, function, arguments),
            "chainId": int(self.ask("eth_chainId"), 16),
            "nonce": int(self.ask("eth_getTransactionCount", sender.address, "pending"), 16),
            "gas": _GAS,
            "gasPrice": int(self.ask("eth_gasPrice"), 16),
        }
        signed = sender.sign_transaction(transaction).raw_transaction
        return _block_of(self.ask("eth_sendRawTransactionSync", "0x" + signed.hex()))

    def call(self, name: str, address: str, function: str, *arguments: Any, block: int | str = "latest") -> Any:
        """Return what a function returns, without a transaction: one value, or a tuple of several."""
        at = block if isinstance(block, str) else hex(block)
        request = {"to": address, "data": _calldata(name, function, arguments), "from": self.accounts()[0]}
        data = bytes.fromhex(self.ask("eth_call", request, at)[2:])
        try:
            values = decode(contract(name).outputs(function), data)
        except DecodingError as error:
            raise ChainError(f"there is no {name} at {address}") from error
        return values[0] if len(values) == 1 else values

    def as_anybody(self) -> None:
        """Let transactions be sent from any address, and give gas away for nothing."""
        self.ask("anvil_autoImpersonateAccount", True)  # noqa: FBT003 - JSON-RPC knows no names

    def fund(self, address: str, wei: int = 10**18) -> None:
        """Give an address of the chain's own coin, for gas."""
        self.ask("anvil_setBalance", address, hex(wei))

    def block(self) -> int:
        """Return the number of the latest block."""
        return int(self.ask("eth_blockNumber"), 16)

    def now_unix_s(self) -> int:
        """Return the time of the latest block."""
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)  # noqa: FBT003 - same

    def mine(self, *, at_unix_s: int | None = None) -> None:
        """Make a block, at a time of one's own."""
        self.ask("evm_mine", *([] if at_unix_s is None else [at_unix_s]))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sent(self, transaction: dict[str, Any]) -> dict[str, Any]:
        # Gas enough for all contracts here: an estimate is made at another time than the block's, and may fall short.
        receipt: dict[str, Any] = self.ask("eth_sendTransactionSync", {"gas": hex(_GAS), **transaction})
        return receipt


def _block_of(receipt: dict[str, Any]) -> int:
    if int(receipt["status"], 16) != 1:
        raise ChainError("the transaction was reverted")
    return int(receipt["blockNumber"], 16)


def _calldata(name: str, function: str, arguments: Sequence[Any]) -> str:
    types = contract(name).inputs(function)
    selector = function_signature_to_4byte_selector(f"{function}({','.join(types)})")
    return "0x" + (selector + encode(types, arguments)).hex()

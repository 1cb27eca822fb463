"""
A real EVM chain for tests: anvil in memory, a token on it, and wallets that move it.

Transactions are sent from any address, so a test's wallets need no keys unless they sign something.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jatevo.domain.wallets import Namespace, Wallet, wallet_at
from jatevo_local.chain import CHAIN_ID, Node, start_chain
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

TOKEN_DECIMALS = 18


@dataclass(frozen=True)
class TestChain:
    """A running chain. `node` deploys and calls; see `jatevo_local.chain.Node`."""

    __test__ = False

    url: str
    chain_id: int
    node: Node

    def token(self, *, decimals: int = TOKEN_DECIMALS) -> "TestToken":
        """Deploy a new token."""
        return TestToken(self, self.node.deploy("token", "Jatevo", "JTVO", decimals))


@dataclass(frozen=True)
class TestToken:
    """A token of a test's own."""

    __test__ = False

    chain: TestChain
    address: str

    def mint(self, wallet: Wallet, amount: int) -> int:
        """Give new tokens, in base units. Return the block."""
        return self.chain.node.send("token", self.address, "mint", wallet.address, amount)

    def transfer(self, sender: Wallet, receiver: Wallet, amount: int) -> int:
        """Move tokens from one wallet to another. Return the block."""
        self.chain.node.fund(sender.address)
        return self.chain.node.send("token", self.address, "transfer", receiver.address, amount, sender=sender.address)

    def balance(self, wallet: Wallet) -> int:
        return int(self.chain.node.call("token", self.address, "balanceOf", wallet.address))


def evm_wallet(number: int) -> Wallet:
    """Return the wallet at an address that stands for a number."""
    wallet = wallet_at(Namespace.EIP155, f"0x{0xA11CE << 100 | number:040x}")
    assert wallet is not None
    return wallet


@contextmanager
def running_chain(folder: Path, *, chain_id: int = CHAIN_ID) -> Iterator[TestChain]:
    """Run a chain in memory."""
    with Children(folder, say=lambda _: None) as children:
        chain = start_chain(children, free_port(), chain_id=chain_id)
        with Node(chain.url) as node:
            node.as_anybody()
            yield TestChain(chain.url, chain.chain_id, node)

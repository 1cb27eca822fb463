"""
The demo chain: anvil with a token, a price feed, and a wallet that holds eleven of the tokens.

Chain, contracts and wallet are kept under `DATA/chain` and found again at the next start. The wallet's private key is
in `DATA/chain/demo-wallet.key`, readable by its owner only; it holds nothing of worth. Where anvil does not run, there
is no demo chain, one line says so, and everything else works.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from eth_keys.datatypes import PrivateKey

from jatevo_local.chain import CHAIN_ID, ChainError, Node, anvil, start_chain
from jatevo_local.demo import write_private
from jatevo_local.errors import StackError
from jatevo_local.processes import Children

TOKENS = 11
TOKEN_DECIMALS = 9
PRICE_DECIMALS = 8
PRICE = 1 * 10**PRICE_DECIMALS
"""A dollar: what the demo wallet holds is worth eleven."""
_OWN = ("JATEVO_PRICE_SOURCES", "JATEVO_PRICE_RULES")


@dataclass(frozen=True, slots=True)
class DemoChain:
    """A demo chain that is ready."""

    url: str
    token: str
    feed: str
    wallet: str
    key_file: Path

    def environment(self) -> dict[str, str]:
        """Return the settings of a gateway whose users hold the demo token; who set a price's own, means them."""
        source = {
            "kind": "aggregator",
            "rpc": [self.url],
            "chain_id": CHAIN_ID,
            "address": self.feed,
        }
        return {
            "JATEVO_EVM_CHAIN_ID": str(CHAIN_ID),
            "JATEVO_EVM_RPC_URLS": self.url,
            "JATEVO_EVM_TOKEN": f"eip155:{CHAIN_ID}/erc20:{self.token.lower()}",
            "JATEVO_EVM_CONFIRMATIONS": "0",  # nobody else makes blocks here
            "JATEVO_CHAIN_LAG_S": "0",  # blocks are made for transactions only
            "JATEVO_PRICE_SOURCES": json.dumps([source]),
            "JATEVO_PRICE_RULES": "quorum=1,sustain_s=0",  # there is one feed, and it is ours
            "JATEVO_LOCAL_CHAIN_FEED": f"{self.url} {self.feed}",
            **{name: os.environ[name] for name in _OWN if name in os.environ},
        }


def start_demo_chain(children: Children, port: int, data: Path) -> DemoChain | None:
    """Start it, with what was deployed at the last start or deployed now; None where anvil does not run."""
    if anvil() is None:
        print("no anvil for this machine: going on without a demo chain, its token and its wallet")
        return None
    folder = data / "chain"
    chain = start_chain(children, port, folder / "state.json")
    key_file = folder / "demo-wallet.key"
    wallet = _wallet(key_file)
    with Node(chain.url) as node:
        token, feed = _contracts(node, folder / "contracts.json", wallet)
        publish_price(node, feed)
    return DemoChain(chain.url, token, feed, wallet, key_file)


def publish_price(node: Node, feed: str) -> None:
    """Publish the demo price anew, so that it stays fresh."""
    node.send("aggregator", feed, "publish", PRICE, 0)


def _wallet(file: Path) -> str:
    """Return the address of the wallet whose key is in `file`, made on first use."""
    if not file.exists():
        write_private(file, secrets.token_bytes(32).hex() + "\n")
    return str(PrivateKey(bytes.fromhex(file.read_text().strip())).public_key.to_checksum_address())


def _contracts(node: Node, file: Path, wallet: str) -> tuple[str, str]:
    """Return the token and the feed: those of the last start while the chain has them, else new ones."""
    try:
        kept = json.loads(file.read_text())
        token, feed = str(kept["token"]), str(kept["feed"])
        node.call("token", token, "balanceOf", wallet)
        return token, feed
    except (OSError, ValueError, KeyError, ChainError):
        pass  # a new chain, or one that lost its state
    try:
        token = node.deploy("token", "Jatevo demo", "JTVO", TOKEN_DECIMALS)
        feed = node.deploy("aggregator", "JTVO / USD", PRICE_DECIMALS)
        node.send("token", token, "mint", wallet, TOKENS * 10**TOKEN_DECIMALS)
        node.fund(wallet)
    except ChainError as error:
        raise StackError(f"the demo chain does not take its contracts: {error}") from error
    write_private(file, json.dumps({"token": token, "feed": feed}))
    return token, feed

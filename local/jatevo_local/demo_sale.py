"""
`python -m jatevo_local.demo_sale 8 --data .local`: the demo wallet gives tokens away, as a sale would.

The transfer is signed here with the wallet's own key, as any wallet signs its transactions; the chain only sends it on.
What was given away is gone: without `DATA/chain`, the next start makes a new chain and a new wallet.
"""

import argparse
import json
import secrets
import sys
from pathlib import Path

from eth_keys.datatypes import PrivateKey

from jatevo_local.chain import ChainError, Node
from jatevo_local.demo_chain import TOKEN_DECIMALS
from jatevo_local.engine import url


def sell(data: Path, tokens: int) -> str:
    """Give tokens to somebody new, and return who that is. Raises ChainError, OSError."""
    key = bytes.fromhex((data / "chain" / "demo-wallet.key").read_text().strip())
    token = json.loads((data / "chain" / "contracts.json").read_text())["token"]
    buyer = PrivateKey(secrets.token_bytes(32)).public_key.to_checksum_address()
    with Node(url(int((data / "chain-port").read_text()))) as node:
        node.send_signed(key, "token", token, "transfer", buyer, tokens * 10**TOKEN_DECIMALS)
    return buyer


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m jatevo_local.demo_sale", description="Give some of the demo wallet's tokens away."
    )
    parser.add_argument("tokens", type=int)
    parser.add_argument("--data", type=Path, default=Path(".local"), help="the running stack's data")
    options = parser.parse_args()
    try:
        buyer = sell(options.data, options.tokens)
    except (ChainError, OSError) as error:
        print(f"jatevo: nothing was sold: {error}", file=sys.stderr)
        return 1
    print(f"{options.tokens} tokens went to {buyer}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

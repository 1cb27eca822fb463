"""
The `Signatures` port: each wallet's signature by the rules of its chain.

What a client sends as a signature is a text of bounded length; whatever it is, the answer is yes or no. Packages for
curves and chains are imported with the first signature that needs them, so that no other request pays for them.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from jatevo.application.ports import Clock
from jatevo.domain.wallets import Namespace, Wallet, base58_decoded

if TYPE_CHECKING:
    from jatevo.adapters.signatures.evm_nodes import EvmNodes

MAX_TEXT = 2 * 16_384 + 2
_HEXADECIMAL = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})+)", re.ASCII)


class WalletSignatures:
    """
    Checks signatures. `evm_nodes` returns the addresses of nodes; without any, contract wallets cannot sign in.
    `lag_s` as in `chains.nodes.check_fresh`.
    """

    def __init__(
        self, evm_nodes: Callable[[], Sequence[str]], evm_chain_id: int, clock: Clock, *, lag_s: int = 300
    ) -> None:
        self._evm_nodes = evm_nodes
        self._chain_id = evm_chain_id
        self._clock = clock
        self._lag_s = lag_s

    async def shown(self, wallet: Wallet) -> str:
        if wallet.namespace is Namespace.SOLANA:
            return wallet.address
        return await asyncio.to_thread(_checksummed, wallet.address)

    async def signed(self, wallet: Wallet, message: str, signature: str) -> bool:
        if not 0 < len(signature) <= MAX_TEXT:
            return False
        check = _signed_solana if wallet.namespace is Namespace.SOLANA else _signed_evm
        return await asyncio.to_thread(check, wallet.address, message, signature)

    async def vouched(self, wallet: Wallet, message: str, signature: str) -> bool:
        if wallet.namespace is Namespace.SOLANA or not 0 < len(signature) <= MAX_TEXT:
            return False
        return await asyncio.to_thread(self._vouched, wallet.address, message, signature)

    def _vouched(self, address: str, message: str, signature: str) -> bool:
        from jatevo.adapters.signatures import contract_wallets, ethereum  # noqa: PLC0415 - see above

        form, nodes = _HEXADECIMAL.fullmatch(signature), self._nodes
        if form is None or nodes is None:
            return False
        return contract_wallets.vouched(nodes, address, ethereum.personal_hash(message), bytes.fromhex(form[1]))

    @cached_property
    def _nodes(self) -> "EvmNodes | None":
        urls = self._evm_nodes()
        if not urls:
            return None
        from jatevo.adapters.signatures.evm_nodes import EvmNodes  # noqa: PLC0415 - see above

        return EvmNodes(urls, self._chain_id, self._clock, lag_s=self._lag_s)


def _checksummed(address: str) -> str:
    from jatevo.adapters.signatures.ethereum import checksummed  # noqa: PLC0415 - see above

    return checksummed(address)


def _signed_evm(address: str, message: str, signature: str) -> bool:
    from jatevo.adapters.signatures.ethereum import personal_hash, signer  # noqa: PLC0415 - see above

    form = _HEXADECIMAL.fullmatch(signature)
    return form is not None and signer(personal_hash(message), bytes.fromhex(form[1])) == address


def _signed_solana(address: str, message: str, signature: str) -> bool:
    from jatevo.adapters.signatures.solana import signature_bytes, verifies  # noqa: PLC0415 - see above

    key, data = base58_decoded(address), signature_bytes(signature)
    return key is not None and data is not None and verifies(key, message.encode(), data)

"""
Balances of one ERC-20 token on an EVM chain, over web3.

All balances of a reading are of one block, and the block's hash is looked at again afterwards: a block that was
replaced meanwhile counts nothing. Together they may not exceed the token's supply at that block. A node has to be of
the right chain and not to lag behind.

A balance at an old block is asked of a node that keeps old states; of another it is the balance now, less what came
in, plus what went out since, by the token's `Transfer` logs. (A token that moves balances without them, by rebasing or
taking fees, needs a node that keeps old states.)

web3 blocks, so every call runs in a thread; it is imported with the first.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jatevo.adapters.chains.nodes import NodeFailed, Nodes, check_fresh
from jatevo.application.holdings import in_batches
from jatevo.application.ports import Clock
from jatevo.domain.holdings import MOST_DECIMALS, Moment, Reading, Token
from jatevo.domain.wallets import Wallet

if TYPE_CHECKING:
    from jatevo.adapters.chains.evm_node import EvmNode

_BATCH = 100
_LOG_BLOCKS = 2000
"""How many blocks one search for logs spans: what public nodes allow."""
_BALANCE_OF, _DECIMALS, _TOTAL_SUPPLY = "0x70a08231", "0x313ce567", "0x18160ddd"
_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


class EvmReader:
    """The `BalanceReader` of a contract. `confirmations`: how many blocks a block needs above it to be believed."""

    reads_everybody = False

    def __init__(
        self,
        token: Token,
        addresses: Callable[[], Sequence[str]],
        clock: Clock,
        *,
        confirmations: int = 12,
        lag_s: int = 300,
        timeout_s: float = 20.0,
    ) -> None:
        def connect(address: str) -> "EvmNode":
            from jatevo.adapters.chains.evm_node import EvmNode  # noqa: PLC0415 - web3 is slow to import

            return EvmNode(address, chain_id=int(token.chain), timeout_s=timeout_s)

        self.token = token
        self._nodes = Nodes(addresses, connect)
        self._clock = clock
        self._confirmations = confirmations
        self._lag_s = lag_s

    async def everybody(self) -> Reading:
        raise NotImplementedError("a contract does not list its holders; name the wallets")

    async def moment(self) -> Moment:
        return await self._nodes.first(lambda node: asyncio.to_thread(self._moment, node))

    async def now(self, wallets: Sequence[Wallet]) -> Reading:
        return await self._nodes.first(lambda node: asyncio.to_thread(self._now, node, wallets))

    async def at(self, wallets: Sequence[Wallet], moment: Moment) -> Reading:
        return await self._nodes.first(lambda node: asyncio.to_thread(self._at, node, wallets, moment))

    def _moment(self, node: "EvmNode") -> Moment:
        latest = node.block("latest")
        check_fresh(latest.unix_s, self._clock.now_ms() // 1000, self._lag_s)
        return node.block(max(0, latest.height - self._confirmations))

    def _now(self, node: "EvmNode", wallets: Sequence[Wallet]) -> Reading:
        return self._read(node, wallets, self._moment(node))

    def _at(self, node: "EvmNode", wallets: Sequence[Wallet], moment: Moment) -> Reading:
        _check_unchanged(node, moment)
        try:
            return self._read(node, wallets, moment)
        except NodeFailed:
            return self._reckoned_back(node, wallets, moment)

    def _read(self, node: "EvmNode", wallets: Sequence[Wallet], moment: Moment) -> Reading:
        """Read balances at a block."""
        decimals, supply = self._called(node, [_DECIMALS, _TOTAL_SUPPLY], moment)
        if decimals > MOST_DECIMALS:
            raise NodeFailed("more decimals than any token has")
        units: dict[Wallet, int] = {}
        for batch in in_batches(wallets, _BATCH):
            balances = self._called(node, [_BALANCE_OF + _word(wallet.address) for wallet in batch], moment)
            units.update(zip(batch, balances, strict=True))
        if sum(units.values()) > supply:
            raise NodeFailed("wallets hold more than the supply")
        _check_unchanged(node, moment)
        return Reading(moment, decimals, units)

    def _reckoned_back(self, node: "EvmNode", wallets: Sequence[Wallet], moment: Moment) -> Reading:
        """Reckon balances at an old block from those of a late one and what moved in between."""
        now = self._now(node, wallets)
        units = {
            wallet: now.units[wallet]
            - self._moved(node, wallet, moment, now.moment, incoming=True)
            + self._moved(node, wallet, moment, now.moment, incoming=False)
            for wallet in wallets
        }
        if any(amount < 0 for amount in units.values()):
            raise NodeFailed("more came in since than is there: its logs are not to be believed")
        _check_unchanged(node, moment)
        return Reading(moment, now.decimals, units)

    def _moved(self, node: "EvmNode", wallet: Wallet, since: Moment, until: Moment, *, incoming: bool) -> int:
        """Return what came into a wallet, or went out, after one block and up to another."""
        who = "0x" + _word(wallet.address)
        topics = [_TRANSFER, None, who] if incoming else [_TRANSFER, who]
        total = 0
        for start in range(since.height + 1, until.height + 1, _LOG_BLOCKS):
            end = min(start + _LOG_BLOCKS - 1, until.height)
            total += sum(node.logged_amounts(self.token.address, topics, start, end))
        return total

    def _called(self, node: "EvmNode", calls: Sequence[str], moment: Moment) -> list[int]:
        requests: list[tuple[str, list[Any]]] = [
            ("eth_call", [{"to": self.token.address, "data": data}, hex(moment.height)]) for data in calls
        ]
        return [_number(answer) for answer in node.ask_all(requests)]


def _check_unchanged(node: "EvmNode", moment: Moment) -> None:
    if node.block(moment.height).block_hash != moment.block_hash:
        raise NodeFailed("it has another block at that height")


def _word(address: str) -> str:
    return address.removeprefix("0x").rjust(64, "0")


def _number(answer: object) -> int:
    if not isinstance(answer, str) or len(answer) != 66:
        raise NodeFailed("the contract is not there, or is no token")
    try:
        return int(answer, 16)
    except ValueError:
        raise NodeFailed("no number") from None

"""
Holdings: what wallets hold of a token, as chains tell it.

Amounts are whole base units of the token; `decimals` says how many of them make one token, as a power of ten, and is
read from the chain. A token is named by its address on its chain, never by its symbol.

A **reading** is what one moment of one chain says. A **snapshot** is one reading of every configured token, complete:
all that a day counts by.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from jatevo.domain.calendar import DAY_S, day_start_unix_s
from jatevo.domain.wallets import Namespace, Wallet, wallet_at

MOST_DECIMALS = 36
OLDEST_SNAPSHOT_S = 2 * DAY_S
"""A snapshot older than this at the start of a day counts nothing on that day."""
WIDEST_SNAPSHOT_S = 900
"""Readings of one snapshot lie within this time: a bag that crosses from chain to chain meanwhile would count twice."""
_TOKEN = re.compile(r"(eip155|solana)(?::([A-Za-z0-9]{1,32}))?/(erc20|token):([A-Za-z0-9]{32,44})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """
    A token on a chain. `chain` is what the chain must say of itself: its id on EVM chains, the first 32 characters of
    the genesis hash on Solana, empty for any Solana chain. `address` is the contract, or the mint.
    """

    namespace: Namespace
    chain: str
    address: str

    def __str__(self) -> str:
        kind = "erc20" if self.namespace is Namespace.EIP155 else "token"
        chain = f"{self.namespace}:{self.chain}" if self.chain else str(self.namespace)
        return f"{chain}/{kind}:{self.address}"


def token_from_text(text: str) -> Token | None:
    """
    Return the token that a text such as `eip155:8453/erc20:0x…` or `solana/token:9VY2…` names (CAIP-19), or None.

    https://chainagnostic.org/CAIPs/caip-19
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    namespace, chain, kind = Namespace(match[1]), match[2] or "", match[3]
    contract = wallet_at(namespace, match[4])
    is_evm = namespace is Namespace.EIP155
    if contract is None or (kind == "erc20") is not is_evm or (is_evm and not chain.isdigit()):
        return None
    return Token(namespace, str(int(chain)) if is_evm else chain, contract.address)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a chain: the number of a block or slot, its time, and the block's hash where balances are of one."""

    height: int
    unix_s: int
    block_hash: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What wallets hold at one moment. `units` has who was asked for, or everybody who holds any."""

    moment: Moment
    decimals: int
    units: Mapping[Wallet, int]


@dataclass(frozen=True, slots=True)
class TokenSnapshot:
    """
    One token's part of a snapshot: where its balances are kept, and how to read them.

    `everybody`: all holders are in it, so that who is not holds nothing. Otherwise it has the wallets that were linked,
    and the balance of another is read of the same block.
    """

    token: Token
    moment: Moment
    decimals: int
    everybody: bool
    attempt: str
    """Names the run that read it: parts of different runs never mix."""
    parts: int
    holders: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete snapshot. `id` is the instant it was planned for, so that ids sort by time."""

    id: str
    taken_at_unix_s: int
    tokens: Mapping[Namespace, TokenSnapshot] = field(default_factory=dict)

    def counts_on(self, day: str) -> bool:
        """Return whether it is young enough to count on a day."""
        return day_start_unix_s(day) - self.taken_at_unix_s <= OLDEST_SNAPSHOT_S


def spread_s(tokens: Mapping[Namespace, TokenSnapshot]) -> int:
    """Return how far apart the readings of a snapshot lie."""
    times = [token.moment.unix_s for token in tokens.values()]
    return max(times) - min(times)


def part_of(wallet: Wallet, parts: int, attempt: str) -> int:
    """
    Return in which of a snapshot's parts a wallet is kept.

    It depends on the run's own name, which nobody knows beforehand: wallets made to crowd one part would otherwise let
    no snapshot come about.
    """
    digest = hashlib.sha256(f"{attempt} {wallet.address}".encode("ascii")).digest()
    return int.from_bytes(digest[:8]) % parts

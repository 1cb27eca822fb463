"""
Wallets: an address on a chain, in one canonical text form.

`eip155:0x…` (40 hexadecimal digits, lower case) stands for an address on every EVM chain: one key is behind them.
`solana:…` is the base58 of a 32-byte public key. Equal wallets have equal texts.
"""

from dataclasses import dataclass
from enum import StrEnum

_HEX = frozenset("0123456789abcdef")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SOLANA_KEY_BYTES = 32


class Namespace(StrEnum):
    """A family of chains, by its CAIP-2 namespace."""

    EIP155 = "eip155"
    SOLANA = "solana"


@dataclass(frozen=True, slots=True)
class Wallet:
    """An address that somebody may prove to control. `address` is canonical: see `wallet_at`."""

    namespace: Namespace
    address: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.address}"


def wallet_at(namespace: Namespace, address: str) -> Wallet | None:
    """Return the wallet at an address as people write it (any case for EVM), or None when it is no address."""
    if namespace is Namespace.EIP155:
        digits = address[2:].lower()
        valid = address[:2] in {"0x", "0X"} and len(digits) == 40 and set(digits) <= _HEX
        return Wallet(namespace, f"0x{digits}") if valid else None
    key = base58_decoded(address)
    return Wallet(namespace, address) if key is not None and len(key) == _SOLANA_KEY_BYTES else None


def wallet_from_text(text: str) -> Wallet | None:
    """Return the wallet whose canonical text this is, or None."""
    namespace, _, address = text.partition(":")
    if namespace not in {*Namespace}:
        return None
    wallet = wallet_at(Namespace(namespace), address)
    return wallet if wallet is not None and str(wallet) == text else None


def base58_decoded(text: str) -> bytes | None:
    """Return the bytes that a base58 text (Bitcoin's alphabet) stands for, or None when it is none or too long."""
    if not text or len(text) > 128 or not set(text) <= set(_BASE58):
        return None
    number = 0
    for letter in text:
        number = number * 58 + _BASE58.index(letter)
    leading = len(text) - len(text.lstrip("1"))
    return bytes(leading) + number.to_bytes((number.bit_length() + 7) // 8)


def base58_encoded(data: bytes) -> str:
    """Return the base58 text of bytes."""
    number, letters = int.from_bytes(data), ""
    while number:
        number, rest = divmod(number, 58)
        letters = _BASE58[rest] + letters
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + letters

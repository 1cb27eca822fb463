"""
A wallet's private key, read from a file or standard input, never from the command line, where others could see it.

Taken are 32 bytes in hexadecimal, for EVM wallets, and what `solana-keygen` writes: a JSON list of 64 numbers.
"""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jatevo_cli.api import USAGE, CommandError

_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class WalletKey:
    """A key that signs texts for one wallet."""

    chain: str
    address: str
    sign: Callable[[str], str] = field(repr=False)


def read_key(file: str) -> WalletKey:
    """Return the key in a file, `-` for standard input. Raises CommandError, which repeats nothing of it."""
    try:
        text = sys.stdin.read(4096) if file == "-" else Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(USAGE, f"the private key cannot be read: {type(error).__name__}") from None
    text = text.strip()
    form = _HEXADECIMAL.fullmatch(text)
    if form is not None:
        return _evm(bytes.fromhex(form[1]))
    return _solana(_numbers(text))


def _numbers(text: str) -> bytes:
    try:
        numbers = json.loads(text)
        if isinstance(numbers, list) and len(numbers) == 64:
            return bytes(numbers)
    except (ValueError, TypeError):
        pass
    raise CommandError(
        USAGE, "this is no private key: 64 hexadecimal digits (EVM), or the JSON list that solana-keygen writes"
    )


def _evm(secret: bytes) -> WalletKey:
    from eth_keys.datatypes import PrivateKey  # noqa: PLC0415 - only where such a key signs
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415 - same

    from jatevo.adapters.signatures.ethereum import personal_hash  # noqa: PLC0415 - same

    try:
        key = PrivateKey(secret)
    except ValidationError:
        raise CommandError(USAGE, "this is no private key of an EVM wallet") from None

    def sign(message: str) -> str:
        signature = key.sign_msg_hash(personal_hash(message))
        raw: bytes = signature.r.to_bytes(32) + signature.s.to_bytes(32) + bytes([27 + signature.v])
        return "0x" + raw.hex()

    return WalletKey("evm", str(key.public_key.to_checksum_address()), sign)


def _solana(pair: bytes) -> WalletKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - same

    from jatevo.domain.wallets import base58_encoded  # noqa: PLC0415 - same

    key = Ed25519PrivateKey.from_private_bytes(pair[:32])
    if key.public_key().public_bytes_raw() != pair[32:]:
        raise CommandError(USAGE, "this is no key that solana-keygen wrote: its two halves do not belong together")
    return WalletKey("solana", base58_encoded(pair[32:]), lambda message: base58_encoded(key.sign(message.encode())))

"""
Accounts of Solana's token programs, as their bytes lie: mints, and accounts that hold tokens.

Both programs share the layout of the first 165 bytes of an account and the first 82 of a mint. Token-2022 may append a
byte that says which of the two it is, and extensions (type, length, data). Of those only fees withheld are read: tokens
that exist, and that nobody's balance shows.

https://github.com/solana-program/token/blob/main/interface/src/state.rs
https://github.com/solana-program/token-2022/tree/main/interface/src/extension
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack_from

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"  # noqa: S105 - an address that everybody knows
TOKEN_2022_PROGRAM = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"  # noqa: S105 - same
ACCOUNT_BYTES = 165
BALANCE_BYTES = 72
"""The part of an account that says of which mint it holds how much for whom."""
_MINT_BYTES = 82
_KIND_AT = 165
_MINT_KIND, _ACCOUNT_KIND = 1, 2
_FEE_CONFIG, _FEE_AMOUNT = 1, 2
_WITHHELD_IN_CONFIG = 64


class NotAnAccount(ValueError):
    """Bytes that are no mint, or no token account."""


@dataclass(frozen=True, slots=True)
class Mint:
    """A token: how much of it there is, in base units, and how much of that no account shows."""

    supply: int
    decimals: int
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """Some of a token. `mint` and `owner` are public keys."""

    mint: bytes
    owner: bytes
    units: int
    withheld: int = 0


def mint_from(data: bytes) -> Mint:
    """Return the mint that an account's data is. Raises NotAnAccount."""
    if len(data) != _MINT_BYTES and (len(data) <= _KIND_AT or data[_KIND_AT] != _MINT_KIND):
        raise NotAnAccount("no mint")
    supply, decimals, initialized = unpack_from("<QB?", data, 36)
    if not initialized:
        raise NotAnAccount("a mint that was never initialised")
    fees = [value for kind, value in _extensions(data) if kind == _FEE_CONFIG]
    return Mint(supply, decimals, sum(unpack_from("<Q", value, _WITHHELD_IN_CONFIG)[0] for value in fees))


def token_account_from(data: bytes) -> TokenAccount:
    """
    Return the token account whose data begins so; at least BALANCE_BYTES of it. Raises NotAnAccount.
    """
    if len(data) < BALANCE_BYTES or (len(data) > _KIND_AT and data[_KIND_AT] != _ACCOUNT_KIND):
        raise NotAnAccount("no token account")
    (units,) = unpack_from("<Q", data, 64)
    fees = [value for kind, value in _extensions(data) if kind == _FEE_AMOUNT]
    return TokenAccount(data[:32], data[32:64], units, sum(unpack_from("<Q", value)[0] for value in fees))


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = _KIND_AT + 1
    while place + 4 <= len(data):
        kind, length = unpack_from("<HH", data, place)
        if kind == 0 or place + 4 + length > len(data):
            return
        yield kind, data[place + 4 : place + 4 + length]
        place += 4 + length

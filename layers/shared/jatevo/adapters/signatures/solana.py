"""
Signatures of Solana wallets: ed25519 over the bytes of the text, as wallets' `signMessage` makes them.

A signature is 64 bytes, written in base58 (as most wallets' libraries do), base64 or hexadecimal. Refused besides what
does not verify: an s that is not below the order (a second form of the same signature), and a public key or R that is
of small order or not written canonically. A key of small order, such as the 32 zero bytes of Solana's system program,
"signs" every text; nobody holds it, though tokens may lie there.

https://www.rfc-editor.org/rfc/rfc8032, https://eprint.iacr.org/2020/1244 (what implementations differ in)
"""

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from jatevo.domain.wallets import base58_decoded

SIGNATURE_BYTES = 64
_HEXADECIMAL = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}){64})", re.ASCII)
_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_Y_MASK = 2**255 - 1
_Y_OF_ORDER_8 = (
    2707385501144840649318225287225658788936804267575313519463743609750303021312,
    55188659117513257062467267217118295137698188065244968500265048394206261417637,
)
_SMALL_ORDER = frozenset({0, 1, _P - 1, *_Y_OF_ORDER_8})
"""The y of the eight points whose order divides eight."""


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether a signature is the key's over a message, in the one form that is taken."""
    if len(signature) != SIGNATURE_BYTES or int.from_bytes(signature[32:], "little") >= _ORDER:
        return False
    if not (_is_sound(public_key) and _is_sound(signature[:32])):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signature_bytes(text: str) -> bytes | None:
    """Return the 64 bytes that a text stands for in base58, base64 or hexadecimal, or None."""
    found = {data for data in (base58_decoded(text), _hexadecimal(text), _base64(text)) if data is not None}
    whole = [data for data in found if len(data) == SIGNATURE_BYTES]
    return whole[0] if len(whole) == 1 else None


def _is_sound(point: bytes) -> bool:
    y = int.from_bytes(point, "little") & _Y_MASK
    return y < _P and y not in _SMALL_ORDER


def _hexadecimal(text: str) -> bytes | None:
    form = _HEXADECIMAL.fullmatch(text)
    return None if form is None else bytes.fromhex(form[1])


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None

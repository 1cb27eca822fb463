"""
Signatures of externally owned EVM accounts: `personal_sign` (EIP-191, version 0x45) over secp256k1.

Taken is exactly one form: 65 bytes r ‖ s ‖ v, with v in {0, 1, 27, 28} and s in the lower half of the order, so that
nobody can make a second valid signature out of a first one. EIP-2098's 64 bytes are not taken: no wallet's
`personal_sign` gives them, and a second form would be a second way to say the same.

https://eips.ethereum.org/EIPS/eip-191, https://eips.ethereum.org/EIPS/eip-2 (low s), https://eips.ethereum.org/EIPS/eip-55
"""

from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

SIGNATURE_BYTES = 65
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_PARITY = {0: 0, 1: 1, 27: 0, 28: 1}


def personal_hash(message: str) -> bytes:
    """Return what `personal_sign` signs of a text."""
    data = message.encode()
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def signer(digest: bytes, signature: bytes) -> str | None:
    """Return the address, in lower case, that signed a hash; None for what is no signature in the one form taken."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    parity = _PARITY.get(signature[64])
    if parity is None or not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        return None
    try:
        key = Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return None
    return key.to_address()


def checksummed(address: str) -> str:
    """Return an address as EIP-55 writes it: its case is a checksum."""
    digits = address.removeprefix("0x").lower()
    hashed = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(check, 16) >= 8 else digit for digit, check in zip(digits, hashed, strict=False)
    )

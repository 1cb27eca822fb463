"""Signatures of wallets with keys: only the wallet's own, over exactly the text, in exactly one form."""

import base64
import os
from contextlib import suppress

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st
from jatevo_testing.clocks import ManualClock

from jatevo.adapters.signatures.ethereum import checksummed
from jatevo.adapters.signatures.verifier import MAX_TEXT, WalletSignatures
from jatevo.domain.wallets import Namespace, Wallet, base58_encoded, wallet_at

SIGNATURES = WalletSignatures(tuple, 1, ManualClock())
TEXT = "gateway.test wants you to sign in\n\nNonce: abc"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
L = 2**252 + 27742317777372353535851937790883648493
P = 2**255 - 19


def evm(number: int) -> tuple[Wallet, bytes]:
    """Return a wallet and its signature of TEXT."""
    account = Account.from_key(number.to_bytes(32))
    wallet = wallet_at(Namespace.EIP155, account.address)
    assert wallet is not None
    return wallet, bytes(account.sign_message(encode_defunct(text=TEXT)).signature)


def solana(seed: bytes) -> tuple[Wallet, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    wallet = wallet_at(Namespace.SOLANA, base58_encoded(public))
    assert wallet is not None
    return wallet, key


async def valid(wallet: Wallet, signature: bytes, text: str = TEXT) -> bool:
    return await SIGNATURES.signed(wallet, text, "0x" + signature.hex())


async def test_a_wallets_signature_of_the_text_is_taken() -> None:
    for number in range(1, 20):
        wallet, signature = evm(number)
        assert await valid(wallet, signature)
        assert await SIGNATURES.signed(wallet, TEXT, signature.hex().upper())
        assert await valid(wallet, signature[:64] + bytes([signature[64] - 27]))


async def test_what_another_wallet_signed_or_another_text_is_refused() -> None:
    wallet, signature = evm(1)
    other, others = evm(2)
    assert not await valid(other, signature)
    assert not await valid(wallet, others)
    assert not await valid(wallet, signature, TEXT + " ")
    assert not await valid(wallet, signature, TEXT.replace("gateway.test", "evil.test"))


async def test_the_mirrored_signature_is_refused() -> None:
    """(r, n - s) with the other parity recovers to the same address."""
    wallet, signature = evm(3)
    mirrored = signature[:32] + (ORDER - int.from_bytes(signature[32:64])).to_bytes(32)
    for v in (0, 1, 27, 28):
        assert not await valid(wallet, mirrored + bytes([v]))


async def test_other_forms_of_the_same_signature_are_refused() -> None:
    wallet, signature = evm(4)
    compact = bytearray(signature[:64])
    compact[32] |= (signature[64] - 27) << 7
    for form in (
        bytes(compact),
        signature[:64],
        signature + b"\0",
        b"\0" + signature,
        *(signature[:64] + bytes([v]) for v in (2, 3, 26, 29, 35, 37, 38, 255)),
        (int.from_bytes(signature[:32]) + ORDER & 2**256 - 1).to_bytes(32) + signature[32:],
        bytes(32) + signature[32:],
        signature[:32] + bytes(32) + signature[64:],
        bytes(65),
        b"\xff" * 65,
    ):
        assert not await valid(wallet, form), form.hex()


@given(data=st.binary(min_size=65, max_size=65))
async def test_no_random_bytes_are_a_signature(data: bytes) -> None:
    wallet, _ = evm(5)
    assert not await valid(wallet, data)


@pytest.mark.parametrize(
    "text", ["", "0x", "x", "0x0", "0xzz", " 0x00", "0x00 ", "\0", "é" * 65, "0x" + "00" * 20_000, "\uff41" * 130]
)
async def test_garbage_is_refused(text: str) -> None:
    for wallet in (evm(6)[0], solana(bytes(32))[0]):
        assert not await SIGNATURES.signed(wallet, TEXT, text)


async def test_an_oversized_signature_is_refused_unread() -> None:
    assert not await SIGNATURES.signed(evm(6)[0], TEXT, "00" * (MAX_TEXT // 2 + 1))


async def test_an_unusual_signature_of_a_wallet_with_a_key_asks_nobody_when_there_is_nobody_to_ask() -> None:
    wallet, _ = evm(7)
    assert not await SIGNATURES.vouched(wallet, TEXT, "6492" * 16)
    assert not await SIGNATURES.vouched(wallet, TEXT, "00" * 96 + "6492" * 16)


def test_addresses_are_shown_as_eip_55_has_them() -> None:
    for address in (
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ):
        assert checksummed(address.lower()) == address


async def test_a_solana_signature_is_taken_in_base58_base64_and_hexadecimal() -> None:
    for seed in range(1, 10):
        wallet, key = solana(seed.to_bytes(32))
        signature = key.sign(TEXT.encode())
        for text in (
            base58_encoded(signature),
            base64.b64encode(signature).decode(),
            signature.hex(),
            "0x" + signature.hex(),
        ):
            assert await SIGNATURES.signed(wallet, TEXT, text)
            assert not await SIGNATURES.signed(wallet, TEXT, text + "\n")
            assert not await SIGNATURES.signed(wallet, TEXT + " ", text)
            assert not await SIGNATURES.signed(solana(bytes(32))[0], TEXT, text)


async def test_a_solana_signature_has_one_s() -> None:
    wallet, key = solana(bytes(range(32)))
    signature = key.sign(TEXT.encode())
    s = int.from_bytes(signature[32:], "little")
    assert not await valid(wallet, signature[:32] + (s + L).to_bytes(32, "little"))
    assert not await valid(wallet, signature + b"\0")
    assert not await valid(wallet, signature[:63])


def forgeable(key: bytes, signature: bytes) -> bool:
    """Return whether the library alone would take a signature for one of sixteen texts."""
    for number in range(16):
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, f"{TEXT}{number}".encode())
            return True
    return False


async def test_addresses_that_anybody_could_sign_for_are_refused() -> None:
    """With a key of small order, R = sB verifies any text for an eighth of all texts, or for all."""
    base, _ = solana(os.urandom(32))
    small = [
        (0).to_bytes(32, "little"),  # the system program's address
        (1).to_bytes(32, "little"),
        (P - 1).to_bytes(32, "little"),
        P.to_bytes(32, "little"),
        (P + 1).to_bytes(32, "little"),
        (1 | 1 << 255).to_bytes(32, "little"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ]
    # R is the identity and s is zero: s·B = R + h·A for every A whose h-th multiple is the identity.
    identity = (1).to_bytes(32, "little")
    assert all(forgeable(key, identity + bytes(32)) for key in small[:3])
    for key in small:
        wallet = wallet_at(Namespace.SOLANA, base58_encoded(key))
        assert wallet is not None
        for number in range(16):
            assert not await valid(wallet, identity + bytes(32), f"{TEXT}{number}")
    assert not await valid(base, identity + bytes(32))

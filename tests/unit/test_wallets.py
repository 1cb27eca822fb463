"""Wallets have one text each."""

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.wallets import (
    Namespace,
    Wallet,
    base58_decoded,
    base58_encoded,
    wallet_at,
    wallet_from_text,
)

MINT = "9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm"


@given(st.binary(max_size=40))
def test_base58_comes_back_as_it_went(data: bytes) -> None:
    assert base58_decoded(base58_encoded(data)) == (data or None)


@given(st.binary(min_size=20, max_size=20))
def test_an_evm_address_has_one_text_whatever_its_case(data: bytes) -> None:
    lower, upper = "0x" + data.hex(), "0x" + data.hex().upper()
    assert wallet_at(Namespace.EIP155, upper) == wallet_at(Namespace.EIP155, lower) == Wallet(Namespace.EIP155, lower)


def test_a_known_solana_address_is_taken() -> None:
    wallet = wallet_at(Namespace.SOLANA, MINT)
    assert wallet is not None
    assert wallet_from_text(str(wallet)) == wallet


def test_what_is_no_address_is_no_wallet() -> None:
    for namespace, text in (
        (Namespace.EIP155, ""),
        (Namespace.EIP155, "0x" + "0" * 39),
        (Namespace.EIP155, "0x" + "g" * 40),
        (Namespace.EIP155, "0x" + "\u0660" * 40),
        (Namespace.SOLANA, "0" * 44),
        (Namespace.SOLANA, "1" * 31),
        (Namespace.SOLANA, MINT[:-1] + "é"),
        (Namespace.SOLANA, MINT * 3),
    ):
        assert wallet_at(namespace, text) is None
    for text in ("", "solana", f"bitcoin:{MINT}", f"solana:{MINT} ", "eip155:0x" + "A" * 40):
        assert wallet_from_text(text) is None

"""A mistyped key is known without a read, and only a key's SHA-256 is ever stored."""

import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain import api_keys

SECRETS = st.binary(min_size=api_keys.SECRET_BYTES, max_size=api_keys.SECRET_BYTES)
URL_SAFE = string.ascii_letters + string.digits + "-_"


@given(SECRETS)
def test_a_composed_key_is_well_formed(secret: bytes) -> None:
    key = api_keys.compose(secret)
    assert key.startswith("sk-clb-")
    assert len(key) == len("sk-clb-") + 43
    assert set(key.removeprefix("sk-clb-")) <= set(URL_SAFE)
    assert api_keys.well_formed(key)


@pytest.mark.parametrize("seed", range(3))
def test_the_checksum_catches_every_change_of_one_character(seed: int) -> None:
    key = api_keys.compose(hashlib.sha256(bytes([seed])).digest()[: api_keys.SECRET_BYTES])
    for place in range(len(key)):
        for character in URL_SAFE:
            changed = key[:place] + character + key[place + 1 :]
            assert api_keys.well_formed(changed) == (changed == key), changed


@given(SECRETS, st.integers(7, 48))
def test_the_checksum_catches_swapped_neighbours(secret: bytes, place: int) -> None:
    key = api_keys.compose(secret)
    swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert api_keys.well_formed(swapped) == (swapped == key)


@given(SECRETS)
def test_a_key_with_something_before_or_after_it_is_no_key(secret: bytes) -> None:
    key = api_keys.compose(secret)
    assert not any(api_keys.well_formed(text) for text in (f" {key}", f"{key}\n", key[:-1], key + "A", ""))


@given(st.text())
def test_no_other_text_is_a_key(text: str) -> None:
    assert not api_keys.well_formed(text)


@given(SECRETS)
def test_what_is_stored_is_the_sha256_and_what_is_shown_is_no_secret(secret: bytes) -> None:
    key = api_keys.compose(secret)
    assert api_keys.digest(key) == hashlib.sha256(key.encode()).hexdigest()
    assert api_keys.shown_prefix(key) == key[:13]


def test_all_random_bits_that_a_key_can_carry_reach_it() -> None:
    secrets = [bytes(27) + bytes([0]), bytes([128]) + bytes(27), bytes(27) + bytes([4])]
    assert len({api_keys.compose(secret) for secret in secrets}) == 3

"""A reservation id tells when it was made, and ids sort by that."""

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain import ids

FIRST_MS = 1_577_836_800_000
INSTANTS = st.integers(FIRST_MS, FIRST_MS + 2**42 - 1)
RANDOM = st.integers(0, 2**64 - 1)


@given(INSTANTS, RANDOM)
def test_an_id_tells_when_it_was_made(unix_ms: int, random_bits: int) -> None:
    made = ids.reservation_id(unix_ms, random_bits)
    assert len(made) == ids.RESERVATION_ID_LENGTH
    assert ids.reserved_at_ms(made) == unix_ms


@given(INSTANTS, INSTANTS, RANDOM, RANDOM)
def test_ids_sort_by_time(one_ms: int, other_ms: int, one_random: int, other_random: int) -> None:
    one, other = ids.reservation_id(one_ms, one_random), ids.reservation_id(other_ms, other_random)
    if one_ms != other_ms:
        assert (one < other) == (one_ms < other_ms)
        assert (one.encode() < other.encode()) == (one_ms < other_ms)


@given(INSTANTS, RANDOM)
def test_a_range_of_time_is_a_range_of_ids(unix_ms: int, random_bits: int) -> None:
    made = ids.reservation_id(unix_ms, random_bits)
    assert ids.first_reservation_id(unix_ms) <= made
    if unix_ms < FIRST_MS + 2**42 - 1:
        assert made < ids.first_reservation_id(unix_ms + 1)


@given(INSTANTS, st.integers(0, 2**54 - 1), st.integers(1, 2**50))
def test_what_is_asked_of_other_centuries_lies_before_and_after_all_ids(unix_ms: int, random: int, far: int) -> None:
    made = ids.reservation_id(unix_ms, random)
    assert ids.first_reservation_id(FIRST_MS - far) <= made <= ids.reservation_id(FIRST_MS + 2**42 + far, 2**54 - 1)


@given(INSTANTS, RANDOM)
def test_ids_fit_between_the_bounds_that_enclose_a_whole_book(unix_ms: int, random_bits: int) -> None:
    assert " " < ids.reservation_id(unix_ms, random_bits) < "~"


@given(INSTANTS, st.sets(st.integers(0, 2**54 - 1), min_size=2, max_size=2))
def test_the_random_part_keeps_ids_of_one_millisecond_apart(unix_ms: int, random_bits: set[int]) -> None:
    assert len({ids.reservation_id(unix_ms, bits) for bits in random_bits}) == 2


@given(RANDOM)
def test_a_key_is_named_in_windows_by_its_id_without_prefix(random_bits: int) -> None:
    key_id = ids.key_id(random_bits)
    assert f"key_{ids.key_ref(key_id)}" == key_id
    assert len(ids.key_ref(key_id)) == ids.KEY_REF_LENGTH

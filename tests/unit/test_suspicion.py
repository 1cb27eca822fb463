"""A key that comes from many places is noticed; one that is used as keys are is not."""

from jatevo.application.suspicion import Addresses

NOW = 1_800_000_000


def test_more_than_ten_addresses_in_ten_minutes_are_too_many_for_one_key() -> None:
    addresses = Addresses()
    assert not any(addresses.too_many("key_a", f"192.0.2.{number}", NOW) for number in range(10))
    assert not addresses.too_many("key_b", "192.0.2.99", NOW), "each key by itself"
    assert addresses.too_many("key_a", "192.0.2.99", NOW)
    assert addresses.too_many("key_a", "192.0.2.1", NOW + 599), "from wherever it comes then"
    assert not addresses.too_many("key_a", "192.0.2.1", NOW + 600)


def test_one_place_is_one_however_often_and_so_is_the_network_of_one_subscriber() -> None:
    addresses = Addresses()
    assert not any(addresses.too_many("key_a", "192.0.2.1", NOW) for _ in range(100))
    assert not any(addresses.too_many("key_b", f"2001:db8::{number:x}", NOW) for number in range(100))


def test_what_is_remembered_is_bounded() -> None:
    addresses = Addresses()
    for number in range(30_000):
        addresses.too_many(f"key_{number}", "192.0.2.1", NOW)
    assert len(addresses._seen) <= 10_000

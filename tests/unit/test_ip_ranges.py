"""A range is one network in one form; a source is in it, or is refused."""

import pytest

from jatevo.domain.ip_ranges import in_ranges, ip_range, source_network


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0:0::1", "2001:db8::1/128"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("203.0.113.7/24", None),  # a host, not its network: which was meant?
        ("203.0.113.0/33", None),
        ("203.0.113.0/24 ", None),
        ("203.0.113.0/0.0.0.255/3", None),
        ("fe80::1%eth0", None),
        ("010.0.0.0/8", None),
        ("", None),
        ("all", None),
        ("1" * 1000, None),
    ],
)
def test_a_range_has_one_form(text: str, canonical: str | None) -> None:
    assert ip_range(text) == canonical
    if canonical is not None:
        assert ip_range(canonical) == canonical


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("::ffff:203.0.113.7", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        (None, False),
        ("", False),
        ("testclient", False),
        ("203.0.113.7, 203.0.113.7", False),
    ],
)
def test_only_a_known_source_within_a_range_is_inside(source: str | None, *, inside: bool) -> None:
    assert in_ranges(source, {"203.0.113.0/24", "2001:db8::/32"}) == inside


def test_no_source_is_in_no_range() -> None:
    assert not in_ranges("203.0.113.7", ())


def test_a_subscriber_cannot_multiply_by_its_addresses() -> None:
    assert source_network("2001:db8:1:2::1") == source_network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert source_network("203.0.113.7") == source_network("::ffff:203.0.113.7") == "203.0.113.7"
    assert source_network(None) == source_network("x") == "unknown"

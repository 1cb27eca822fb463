"""
IP ranges: the networks a key may be used from, in CIDR form (`203.0.113.0/24`, `2001:db8::/32`).

What is IPv4 written as IPv6 (`::ffff:203.0.113.7`) is the IPv4 address or network, as a source and as a range. A source
that is not known, or is no address, lies in no range.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

MAX_RANGES = 16
_LONGEST = 43  # an IPv6 network, spelled out
_MAPPED_BITS = 96
"""Of an IPv6 address that is an IPv4 one: what stands before that."""


def ip_range(text: str) -> str | None:
    """Return a range in its one canonical form, or None when it is none or names a host within its network."""
    if not 0 < len(text) <= _LONGEST or "%" in text:
        return None
    try:
        network = ip_network(text)
    except ValueError:
        return None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        network = ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    return str(network)


def in_ranges(source_ip: str | None, ranges: Iterable[str]) -> bool:
    """Return whether an address lies in one of canonical `ranges`."""
    source = _address(source_ip)
    return source is not None and any(source in ip_network(text) for text in ranges)


@lru_cache(maxsize=1024)
def source_network(source_ip: str | None) -> str:
    """Return what a limit per source is kept for: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    source = _address(source_ip)
    if source is None:
        return "unknown"
    return str(source) if isinstance(source, IPv4Address) else str(ip_network((source, 64), strict=False))


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address

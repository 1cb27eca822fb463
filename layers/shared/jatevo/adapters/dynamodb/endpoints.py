"""Where DynamoDB answers in each region of AWS."""

from urllib.parse import urlsplit

from jatevo.adapters.http1.link import Origin

_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def endpoint_of(region: str) -> str:
    """Return the address of DynamoDB in a region."""
    suffix = next((end for start, end in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    return f"https://dynamodb.{region}.{suffix}"


def origin_of(url: str) -> tuple[Origin, str]:
    """Return where an address leads, and what its requests name as their host. Raises ValueError."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"{url!r} is not the address of a DynamoDB")
    tls = address.scheme == "https"
    usual = 443 if tls else 80
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    port = address.port or usual
    return Origin(tls, address.hostname, port), host if port == usual else f"{host}:{port}"

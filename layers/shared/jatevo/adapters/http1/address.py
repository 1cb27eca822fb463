"""Where a URL leads, and how a request to it begins."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from jatevo.adapters.http1.link import Origin


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, what requests name as their host, and what they ask there."""

    origin: Origin
    host: str
    path: str


@lru_cache(maxsize=1024)
def address_of(url: str) -> Address:
    """Return the address that an http or https URL in ASCII stands for. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        raise ValueError("not an http or https URL")
    tls = parts.scheme == "https"
    usual = 443 if tls else 80
    port = parts.port or usual
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    return Address(Origin(tls, parts.hostname, port), host if port == usual else f"{host}:{port}", path)

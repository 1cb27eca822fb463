"""
API keys: `sk-clb-` and 43 url-safe characters, the last six of which are a checksum.

The checksum is no secret and adds no security: it tells a mistyped or made-up key from a real one without a read. The
other 37 characters carry 222 random bits. Only the SHA-256 of a key is ever stored.
"""

import base64
import hashlib
import re

PREFIX = "sk-clb-"
_SECRET_LENGTH = 37
_CHECK_LENGTH = 6
SHOWN_PREFIX_LENGTH = len(PREFIX) + 6
SECRET_BYTES = 28

_FORM = re.compile(r"sk-clb-[A-Za-z0-9_-]{43}", re.ASCII)


def compose(secret: bytes) -> str:
    """Return the key made of `SECRET_BYTES` random bytes."""
    assert len(secret) == SECRET_BYTES, "a key needs exactly its random bytes"
    body = base64.urlsafe_b64encode(secret).decode("ascii").rstrip("=")[:_SECRET_LENGTH]
    return PREFIX + body + _checksum(body)


def well_formed(text: str) -> bool:
    """Return whether `text` has the form and the checksum of a key."""
    if _FORM.fullmatch(text) is None:
        return False
    body = text[len(PREFIX) :]
    return body[_SECRET_LENGTH:] == _checksum(body[:_SECRET_LENGTH])


def digest(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal: what is stored and looked up."""
    return hashlib.sha256(key.encode("ascii")).hexdigest()


def shown_prefix(key: str) -> str:
    """Return the beginning of a key by which its owner recognises it."""
    return key[:SHOWN_PREFIX_LENGTH]


def _checksum(body: str) -> str:
    hashed = hashlib.sha256(b"jatevo-key-check:" + body.encode("ascii")).digest()
    return base64.urlsafe_b64encode(hashed).decode("ascii")[:_CHECK_LENGTH]

"""
Sessions: what somebody holds who has proved to control a wallet.

A token is `jts-`, the random part of the account's id, and 43 url-safe characters (256 bits). It says where its record
is, so that finding it is one read; only its SHA-256 is stored. The CSRF token is derived from the token by a one-way
function: a page that may read it cannot learn the token from it, and a page that may not, cannot guess it.
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from jatevo.domain.wallets import Wallet

PREFIX = "jts-"
SECRET_BYTES = 32
MAX_SESSIONS_PER_ACCOUNT = 20
"""One more sign-in ends the oldest."""

_FORM = re.compile(r"jts-([a-z2-7]{12})-[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """A session of an account, opened by one of its wallets. `digest` is the SHA-256 of the token."""

    account_id: str
    digest: str
    wallet: Wallet
    created_at_unix_s: int
    expires_at_unix_s: int


def compose(account_id: str, secret: bytes) -> str:
    """Return the token of an account made of `SECRET_BYTES` random bytes."""
    assert len(secret) == SECRET_BYTES, "a token needs exactly its random bytes"
    return f"{PREFIX}{account_id.removeprefix('acct_')}-{_url_safe(secret)}"


def account_of(token: str) -> str | None:
    """Return the id of the account whose session a token claims to be, or None when it has not a token's form."""
    form = _FORM.fullmatch(token)
    return None if form is None else f"acct_{form[1]}"


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal: what is stored and looked up."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def csrf_token(token: str) -> str:
    """Return the token that a page sends in a header beside the cookie."""
    return _url_safe(hashlib.sha256(b"jatevo-csrf:" + token.encode("ascii")).digest())


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")

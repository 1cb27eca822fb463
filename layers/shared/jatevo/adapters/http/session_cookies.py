"""
A session as a browser holds it: a cookie, and the proof that one of our own pages asks.

A browser adds the cookie to whatever page asks, so a change asked for with it must come from our own pages: by their
`Origin`, as `JATEVO_PUBLIC_URL` says it, and by the CSRF token in the header `x-csrf-token`, which no page of another
origin can have read. The cookie is `SameSite=Strict`, not readable by scripts, and, over https, `Secure` and bound to
this very host by the prefix `__Host-`. That prefix wants the path `/`, which holds for every stage's prefix too.
"""

import hmac

from jatevo.adapters.http.asgi import Scope, header
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.sessions import csrf_token
from jatevo.domain.sign_in import Site

_LONGEST_COOKIES = 8192
_FOREIGN = Refusal(
    Code.CSRF_REFUSED,
    "This request does not come from the gateway's own pages. Scripts send the token as 'Authorization: Bearer …'.",
)
_NO_CSRF = Refusal(Code.CSRF_REFUSED, "Send the session's CSRF token in the header x-csrf-token.")


def comes_from_elsewhere(scope: Scope, site: Site) -> bool:
    """Return whether a browser says that a page of another origin asks. Programs say nothing."""
    origin = header(scope, "origin")
    return origin is not None and origin != site.origin


def cookie_of(scope: Scope, site: Site) -> str | None:
    """
    Return the session's token from the cookies.

    They part at semicolons only. A comma may be in the value of any cookie, also of one that a neighbouring domain has
    set: what follows it must not be taken for ours, whose name no neighbour can use.
    """
    for given in _cookie_headers(scope):
        for cookie in given[:_LONGEST_COOKIES].split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == _name(site):
                return value
    return None


def session_cookie(site: Site, token: str, lifetime_s: int) -> str:
    """Return the value of `Set-Cookie` that makes a browser keep a session; with no time left, forget it."""
    secure = "; Secure" if site.secure else ""
    return f"{_name(site)}={token}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict{secure}"


def not_from_our_pages(scope: Scope, site: Site, token: str) -> Refusal | None:
    """Return why a change that came with the cookie of a session may be somebody else's; None when it is not."""
    if header(scope, "origin") != site.origin:
        return _FOREIGN
    given = (header(scope, "x-csrf-token") or "").encode("utf-8", "replace")
    proven = token.isascii() and hmac.compare_digest(given, csrf_token(token).encode())
    return None if proven else _NO_CSRF


def _cookie_headers(scope: Scope) -> list[str]:
    """Return the headers one by one: in the scope of a buffered Lambda several would be joined by a comma."""
    event = scope.get("aws.event")
    if event is None:
        return [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    several = event.get("multiValueHeaders") or {}
    return [value for name, values in several.items() if name.lower() == "cookie" for value in values]


def _name(site: Site) -> str:
    return "__Host-jatevo-session" if site.secure else "jatevo-session"

"""
Who is signed in, and whether a request may be theirs.

A session comes as `Authorization: Bearer …`, which only its owner's program can send, or as a cookie, which a browser
adds to whatever page asks. So a change asked for with the cookie must prove that it comes from our own pages: by their
`Origin`, as `JATEVO_PUBLIC_URL` says it, and by the CSRF token in the header `x-csrf-token`, which no page of another
origin can have read. The cookie is `SameSite=Strict`, not readable by scripts, and, over https, `Secure` and bound to
this very host by the prefix `__Host-`. That prefix wants the path `/`, which holds for every stage's prefix too.
"""

import hmac
from collections.abc import Callable
from typing import cast

from fastapi import Request

from jatevo.adapters.http.asgi import bearer_token
from jatevo.application.self_service import SelfService
from jatevo.application.sessions import SignedIn
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.sessions import csrf_token
from jatevo.domain.sign_in import Site

_READS = frozenset({"GET", "HEAD"})
_LONGEST_COOKIES = 8192
_FOREIGN = Refusal(
    Code.CSRF_REFUSED,
    "This request does not come from the gateway's own pages. Scripts send the token as 'Authorization: Bearer …'.",
)
_NO_CSRF = Refusal(Code.CSRF_REFUSED, "Send the session's CSRF token in the header x-csrf-token.")


class NotLetIn(Exception):
    """A request is refused before its route is reached."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class Guard:
    """A dependency of routes for owners: lets a request of a session through, and remembers whose it is."""

    def __init__(self, services: Callable[[], SelfService], *, counts_changes: bool = False) -> None:
        self._services = services
        self._counts_changes = counts_changes

    async def __call__(self, request: Request) -> None:
        """Raise NotLetIn unless the request is its owner's."""
        services = self._services()
        token = bearer_token(request.scope) or await self._from_cookie(request)
        owner = await services.sessions.authenticate(token)
        if isinstance(owner, Refusal):
            raise NotLetIn(owner)
        if self._counts_changes and request.method not in _READS:
            refusal = await services.attempts.change_of(owner.account.id)
            if refusal is not None:
                raise NotLetIn(refusal)
        request.state.owner, request.state.token = owner, token

    async def _from_cookie(self, request: Request) -> str | None:
        site = await self._services().site() if "cookie" in request.headers else None
        token = None if site is None else cookie_of(request, site)
        if site is not None and token is not None and request.method not in _READS:
            _check_origin(request, site, token)
        return token


def owner_of(request: Request) -> SignedIn:
    """Return whose session a request that was let through belongs to."""
    return cast("SignedIn", request.state.owner)


def token_of(request: Request) -> str:
    """Return the token that a request that was let through came with."""
    return cast("str", request.state.token)


def comes_from_elsewhere(request: Request, site: Site) -> bool:
    """Return whether a browser says that a page of another origin asks. Programs say nothing."""
    origin = request.headers.get("origin")
    return origin is not None and origin != site.origin


def cookie_of(request: Request, site: Site) -> str | None:
    """
    Return the session's token from the cookies.

    They part at semicolons only. A comma may be in the value of any cookie, also of one that a neighbouring domain has
    set: what follows it must not be taken for ours, whose name no neighbour can use.
    """
    for header in _cookie_headers(request):
        for cookie in header[:_LONGEST_COOKIES].split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == _name(site):
                return value
    return None


def session_cookie(site: Site, token: str, lifetime_s: int) -> str:
    """Return the value of `Set-Cookie` that makes a browser keep a session; with no time left, forget it."""
    secure = "; Secure" if site.secure else ""
    return f"{_name(site)}={token}; Path=/; Max-Age={lifetime_s}; HttpOnly; SameSite=Strict{secure}"


def _cookie_headers(request: Request) -> list[str]:
    """Return the headers one by one: in a Lambda's scope several would be joined by a comma."""
    event = request.scope.get("aws.event")
    if event is None:
        return request.headers.getlist("cookie")
    several = event.get("multiValueHeaders") or {}
    return [value for name, values in several.items() if name.lower() == "cookie" for value in values]


def _name(site: Site) -> str:
    return "__Host-jatevo-session" if site.secure else "jatevo-session"


def _check_origin(request: Request, site: Site, token: str) -> None:
    if request.headers.get("origin") != site.origin:
        raise NotLetIn(_FOREIGN)
    given = request.headers.get("x-csrf-token", "").encode("utf-8", "replace")
    if not (token.isascii() and hmac.compare_digest(given, csrf_token(token).encode())):
        raise NotLetIn(_NO_CSRF)

"""
Who is signed in, and whether a request may be theirs.

A session comes as `Authorization: Bearer …`, which only its owner's program can send, or as a cookie, which proves
nothing by itself: see `jatevo.adapters.http.session_cookies`.
"""

from collections.abc import Callable
from typing import cast

from fastapi import Request

from jatevo.adapters.http.asgi import bearer_token
from jatevo.adapters.http.request_log import journal_of
from jatevo.adapters.http.session_cookies import cookie_of, not_from_our_pages
from jatevo.application.self_service import SelfService
from jatevo.application.sessions import SignedIn
from jatevo.domain.refusals import Refusal

_READS = frozenset({"GET", "HEAD"})


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
        journal_of(request.scope).account_id = owner.account.id
        if self._counts_changes and request.method not in _READS:
            refusal = await services.attempts.change_of(owner.account.id)
            if refusal is not None:
                raise NotLetIn(refusal)
        request.state.owner, request.state.token = owner, token

    async def _from_cookie(self, request: Request) -> str | None:
        site = await self._services().site() if "cookie" in request.headers else None
        token = None if site is None else cookie_of(request.scope, site)
        if site is not None and token is not None and request.method not in _READS:
            refusal = not_from_our_pages(request.scope, site, token)
            if refusal is not None:
                raise NotLetIn(refusal)
        return token


def owner_of(request: Request) -> SignedIn:
    """Return whose session a request that was let through belongs to."""
    return cast("SignedIn", request.state.owner)


def token_of(request: Request) -> str:
    """Return the token that a request that was let through came with."""
    return cast("str", request.state.token)

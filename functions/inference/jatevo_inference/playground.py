"""
Who asks on the playground: who sends a key, who is signed in, or a visitor.

A key and a session spend what their account may use. A session comes as a bearer token or as the cookie of our own
pages, which must prove themselves as for any change. A cookie whose session is over makes nobody a stranger: its owner
is a visitor, as without it. A bearer token was sent on purpose, and is refused when it is none. Sessions are looked for
only in requests that name one, so that nobody else waits for it.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from jatevo.adapters.http.asgi import Scope, bearer_token, header, source_ip
from jatevo.adapters.http.session_cookies import cookie_of, not_from_our_pages
from jatevo.application.access import Access
from jatevo.application.journal import Journal
from jatevo.application.playground import Playground, of_session
from jatevo.domain import sessions
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.sign_in import Site

if TYPE_CHECKING:
    from jatevo.application.sessions import Sessions


class PlaygroundCallers:
    """Finds the caller of a request to the playground."""

    def __init__(
        self,
        access: Access,
        visitors: Playground,
        sessions: "Callable[[], Sessions]",
        site: Callable[[], Awaitable[Site | None]],
    ) -> None:
        self._access = access
        self._visitors = visitors
        self._sessions = sessions
        self._site = site

    async def who(self, scope: Scope, journal: Journal) -> Caller | Refusal:
        """Return who asks, or why nobody is let in. Raises StoreError."""
        token, source = bearer_token(scope), source_ip(scope)
        if token is not None and token.startswith(sessions.PREFIX):
            return await self._signed_in(token)
        if token is not None:
            return await self._access.authenticate(token, source, journal)
        return await self._from_cookie(scope) or await self._visitors.visitor(source)

    async def _from_cookie(self, scope: Scope) -> Caller | Refusal | None:
        """Return whose the cookie is; None without a session that is going on."""
        site = await self._site() if header(scope, "cookie") else None
        token = None if site is None else cookie_of(scope, site)
        if site is None or token is None:
            return None
        caller = await self._signed_in(token)
        if isinstance(caller, Refusal):
            return None if caller.code is Code.INVALID_SESSION else caller
        return not_from_our_pages(scope, site, token) or caller

    async def _signed_in(self, token: str) -> Caller | Refusal:
        owner = await self._sessions().authenticate(token)
        return owner if isinstance(owner, Refusal) else of_session(owner.account)

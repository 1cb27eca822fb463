"""Signing in and out: `POST /auth/challenge`, `POST /auth/verify`, `GET /auth/session`, `POST /auth/logout`."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import Response

from jatevo.adapters.http.asgi import source_ip
from jatevo.adapters.http.key_bodies import Body
from jatevo.adapters.http.session_cookies import comes_from_elsewhere, session_cookie
from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.signatures.verifier import MAX_TEXT
from jatevo.application.self_service import SelfService
from jatevo.application.sessions import OpenedSession
from jatevo.domain.refusals import Refusal
from jatevo.domain.sessions import Session, csrf_token
from jatevo.domain.sign_in import Site
from jatevo_account.answers import answer, done
from jatevo_account.guard import Guard, owner_of, token_of


class WalletBody(Body):
    """A wallet that is to sign; with `link`, to be linked to the account that is signed in."""

    chain: Annotated[str, Field(max_length=64)]
    address: Annotated[str, Field(max_length=128)]
    link: bool = False


class ProofBody(Body):
    """A challenge's nonce, and the wallet's signature of its message."""

    nonce: Annotated[str, Field(max_length=64)]
    signature: Annotated[str, Field(max_length=MAX_TEXT)]


def sign_in_routes(services: Callable[[], SelfService], errors: Errors) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/auth")
    guard = Guard(services)

    @router.post("/challenge", response_model=None)
    async def challenge(body: WalletBody, request: Request) -> Response:
        account_id = None
        if body.link:
            await guard(request)
            account_id = owner_of(request).account.id
        made = await services().proofs.challenge(
            body.chain, body.address, source_ip(request.scope), account_id=account_id
        )
        if isinstance(made, Refusal):
            return errors.answer(made)
        return answer({"nonce": made.nonce, "message": made.message, "expires_at_unix_s": made.expires_at_unix_s})

    @router.post("/verify", response_model=None)
    async def verify(body: ProofBody, request: Request) -> Response:
        opened = await services().sign_in.verify(body.nonce, body.signature, source_ip(request.scope))
        if isinstance(opened, Refusal):
            return errors.answer(opened)
        return _opened(opened, request, await services().site())

    @router.get("/session", dependencies=[Depends(guard)], response_model=None)
    async def session(request: Request) -> Response:
        return answer(_shape(owner_of(request).session, token_of(request)))

    @router.post("/logout", dependencies=[Depends(guard)], response_model=None)
    async def logout(request: Request, all_: Annotated[bool, Query(alias="all")] = False) -> Response:  # noqa: FBT002
        sessions, session = services().sessions, owner_of(request).session
        await (sessions.end_all(session.account_id) if all_ else sessions.end(session))
        return _ended(await services().site())

    return router


def _opened(opened: OpenedSession, request: Request, site: Site | None) -> Response:
    """Return a new session; as a cookie too, unless a page of another origin asks, which could plant it on somebody."""
    session, headers = opened.session, {}
    if site is not None and not comes_from_elsewhere(request.scope, site):
        lifetime_s = session.expires_at_unix_s - session.created_at_unix_s
        headers["set-cookie"] = session_cookie(site, opened.token, lifetime_s)
    return answer({"token": opened.token, **_shape(session, opened.token)}, headers=headers)


def _ended(site: Site | None) -> Response:
    ended = done()
    if site is not None:
        ended.headers["set-cookie"] = session_cookie(site, "", 0)
    return ended


def _shape(session: Session, token: str) -> dict[str, Any]:
    return {
        "account_id": session.account_id,
        "wallet": str(session.wallet),
        "csrf": csrf_token(token),
        "expires_at_unix_s": session.expires_at_unix_s,
    }

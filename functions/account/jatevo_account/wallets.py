"""The wallets of an account: `GET POST /wallets`, `DELETE /wallets/{wallet}`."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from jatevo.adapters.http.asgi import source_ip
from jatevo.adapters.http.starlette_errors import Errors
from jatevo.application.identity import LinkedWallet
from jatevo.application.self_service import SelfService
from jatevo.domain.refusals import Refusal
from jatevo_account.answers import answer, done
from jatevo_account.guard import Guard, owner_of
from jatevo_account.sign_in import ProofBody


def wallet_routes(services: Callable[[], SelfService], errors: Errors) -> APIRouter:
    """Return the routes. A wallet is linked by its signature of a challenge that was made with `link`."""
    router = APIRouter(prefix="/wallets", dependencies=[Depends(Guard(services, counts_changes=True))])

    @router.get("", response_model=None)
    async def of_account(request: Request) -> Response:
        wallets = await services().wallets.of_account(owner_of(request).account.id)
        return answer({"wallets": [_shape(linked) for linked in wallets]})

    @router.post("", response_model=None)
    async def link(body: ProofBody, request: Request) -> Response:
        linked = await services().wallets.link(
            owner_of(request).account.id, body.nonce, body.signature, source_ip(request.scope)
        )
        return errors.answer(linked) if isinstance(linked, Refusal) else answer(_shape(linked), 201)

    @router.delete("/{wallet}", response_model=None)
    async def unlink(wallet: str, request: Request) -> Response:
        refusal = await services().wallets.unlink(owner_of(request).account.id, wallet)
        return done() if refusal is None else errors.answer(refusal)

    return router


def _shape(linked: LinkedWallet) -> dict[str, Any]:
    return {
        "wallet": str(linked.wallet),
        "chain": linked.wallet.namespace.value,
        "address": linked.wallet.address,
        "linked_at_unix_s": linked.linked_at_unix_s,
        "claimed_day": linked.claimed_day,
    }

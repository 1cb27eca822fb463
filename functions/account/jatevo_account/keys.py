"""The keys of an account: list, create, change, rotate, disable, delete. What bounds them is the use cases' own."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from jatevo.adapters.http.key_bodies import Body, KeyChangeBody, NewKeyBody
from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.wire.key_shape import key_shape
from jatevo.application.administration.keys import CreatedKey
from jatevo.application.self_service import SelfService
from jatevo.application.self_service.keys import KeyStanding
from jatevo.domain.accounts import Account
from jatevo.domain.money import format_usd
from jatevo_account.answers import answer, done
from jatevo_account.guard import Guard, owner_of


class RotationBody(Body):
    """How long the old key still works beside the new one."""

    overlap_s: int = 0


def key_routes(services: Callable[[], SelfService], _errors: Errors) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/keys", dependencies=[Depends(Guard(services, counts_changes=True))])

    @router.get("", response_model=None)
    async def of_account(request: Request) -> Response:
        keys = await services().keys.of_account(_account(request))
        return answer({"keys": [_standing_shape(standing) for standing in keys]})

    @router.post("", response_model=None)
    async def create(body: NewKeyBody, request: Request) -> Response:
        return _shown_once(await services().keys.create(_account(request), body.wanted()))

    @router.patch("/{key_id}", response_model=None)
    async def change(key_id: str, body: KeyChangeBody, request: Request) -> Response:
        return answer(key_shape(await services().keys.change(_account(request), key_id, body.changes())))

    @router.post("/{key_id}/rotate", response_model=None)
    async def rotate(key_id: str, request: Request, body: RotationBody | None = None) -> Response:
        overlap_s = 0 if body is None else body.overlap_s
        return _shown_once(await services().keys.rotate(_account(request), key_id, overlap_s=overlap_s))

    @router.post("/{key_id}/disable", response_model=None)
    async def disable(key_id: str, request: Request) -> Response:
        return answer(key_shape(await services().keys.disable(_account(request), key_id)))

    @router.delete("/{key_id}", response_model=None)
    async def delete(key_id: str, request: Request) -> Response:
        await services().keys.delete(_account(request), key_id)
        return done()

    return router


def _account(request: Request) -> Account:
    return owner_of(request).account


def _shown_once(created: CreatedKey) -> Response:
    return answer({"key": created.secret, **key_shape(created.key)}, 201)


def _standing_shape(standing: KeyStanding) -> dict[str, Any]:
    today = standing.today
    return {
        **key_shape(standing.key),
        "last_used_at_unix_s": standing.last_used_at_unix_s,
        "today": {
            "requests": today.requests,
            "total_tokens": today.total_tokens,
            "charge_usd": format_usd(today.charge_nano_usd),
        },
    }

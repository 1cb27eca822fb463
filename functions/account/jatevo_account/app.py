"""
The routes of a key that ask no model: what it may use (`GET /v1/models[/{id}]`), what it has used (`GET /v1/usage`),
and what is kept for its account (`/v1/responses/{id}`, `/v1/conversations`).

They cost no quota. Every answer to a known key carries both counters of its account.
"""

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from jatevo.adapters.http.fastapi_errors import add_errors
from jatevo.adapters.http.starlette_errors import Edge, Errors
from jatevo.adapters.wire.codex_models import codex_models
from jatevo.adapters.wire.model_list import model_list, model_object
from jatevo.adapters.wire.usage_report import Bounds, usage_report
from jatevo.application.names import Offer, offer, offers
from jatevo.domain.accounts import Caller
from jatevo.domain.lanes import margin_for
from jatevo.domain.refusals import Refusal
from jatevo.domain.rollups import summed
from jatevo.domain.windows import Window
from jatevo_account.callers import Callers
from jatevo_account.conversations import conversations
from jatevo_account.self_service import add_self_service
from jatevo_account.services import AccountServices
from jatevo_account.showcase import showcase_routes
from jatevo_account.stored_responses import stored_responses


def create_app(services: AccountServices) -> FastAPI:
    """Return the app. It publishes no description of itself: `docs/` does."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    errors = Errors(services.clock, services.wording)
    add_errors(app, errors)
    add_self_service(app, services.self_service, errors)
    app.add_middleware(Edge, errors=errors, clock=services.clock, randomness=services.randomness)
    callers = Callers(services, errors)
    routes = _Routes(services, callers)
    for path, route in (
        ("/v1/models", routes.models),
        ("/v1/models/{model_id:path}", routes.model),
        ("/v1/usage", routes.usage),
        ("/backend-api/codex/models", routes.codex_models),
    ):
        app.add_api_route(path, route, methods=["GET"], response_model=None)
    app.include_router(showcase_routes(services.showcase, errors))
    for method, path, kept in (
        *stored_responses(services, callers),
        *conversations(services, callers),
    ):
        app.add_api_route(path, kept, methods=[method], response_model=None)
    return app


class _Routes:
    """From request to use case to answer."""

    def __init__(self, services: AccountServices, callers: Callers) -> None:
        self._services = services
        self._callers = callers

    async def models(self, request: Request) -> Response:
        async def answered(caller: Caller, *_windows: Window | None) -> dict[str, Any]:
            catalogue = await self._services.directory.catalogue()
            return model_list(self._shown(caller, offered) for offered in offers(catalogue, caller))

        return await self._callers.answer(request, answered)

    async def codex_models(self, request: Request) -> Response:
        async def answered(caller: Caller, *_windows: Window | None) -> dict[str, Any]:
            catalogue = await self._services.directory.catalogue()
            return codex_models(self._shown(caller, offered) for offered in offers(catalogue, caller))

        return await self._callers.answer(request, answered)

    async def model(self, request: Request, model_id: str) -> Response:
        async def answered(caller: Caller, *_windows: Window | None) -> dict[str, Any] | Refusal:
            offered = offer(await self._services.directory.catalogue(), caller, model_id)
            return offered if isinstance(offered, Refusal) else self._shown(caller, offered)

        return await self._callers.answer(request, answered)

    async def usage(self, request: Request) -> Response:
        async def answered(caller: Caller, of_account: Window, of_key: Window | None) -> dict[str, Any]:
            tallies = await self._services.usage.total(caller.account)
            counters = self._services.counters
            month, balance = await counters.of_month(caller.account), await counters.of_balance(caller.account)
            resold = caller.reseller_margin_bps is not None
            used = summed(tallies, caller.key.id)
            return usage_report(used, of_account, Bounds(of_key, month, balance), resold=resold)

        return await self._callers.answer(request, answered)

    def _shown(self, caller: Caller, offered: Offer) -> dict[str, Any]:
        margin_bps = margin_for(caller.account.margin_bps, offered.lane, self._services.margin_bps)
        return model_object(offered.model, margin_bps, name=offered.name)

    def _now(self) -> int:
        return self._services.clock.now_ms() // 1000

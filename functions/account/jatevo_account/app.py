"""
The routes that tell a key what it may use and what it has used: `GET /v1/models[/{id}]` and `GET /v1/usage`.

They cost no quota. Every answer to a known key carries both counters of its account; a key disabled a moment ago is
refused here as it is by the gate, because the window that is read for the counters names it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from jatevo.adapters.http.asgi import bearer_token, json_bytes, source_ip
from jatevo.adapters.http.fastapi_errors import add_errors
from jatevo.adapters.http.starlette_errors import Edge, Errors
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.headers import limit_headers, standing_of
from jatevo.adapters.wire.model_list import model_list, model_object
from jatevo.adapters.wire.usage_report import usage_report
from jatevo.application.access import Access, find_model
from jatevo.application.counters import Counters
from jatevo.application.ports import Clock, Directory, Randomness
from jatevo.application.showcase import Showcase
from jatevo.application.usage import UsageReports
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.rollups import summed
from jatevo.domain.windows import EVERY_KEY, Window
from jatevo_account.showcase import showcase_routes

_DISABLED = Refusal(Code.KEY_DISABLED, "This API key is disabled. Use another one or create a new key.")

type Answered = Callable[[Caller, Window, Window | None], Awaitable[dict[str, Any] | Refusal]]


@dataclass(frozen=True, slots=True)
class AccountServices:
    """What the app needs, wired by bootstrap. `margin_bps`: of accounts that have none of their own."""

    access: Access
    directory: Directory
    counters: Counters
    usage: UsageReports
    clock: Clock
    randomness: Randomness
    wording: ErrorWording
    margin_bps: int
    showcase: Showcase


def create_app(services: AccountServices) -> FastAPI:
    """Return the app. It publishes no description of itself: `docs/` does."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    errors = Errors(services.clock, services.wording)
    add_errors(app, errors)
    app.add_middleware(Edge, errors=errors, clock=services.clock, randomness=services.randomness)
    routes = _Routes(services, errors)
    for path, route in (
        ("/v1/models", routes.models),
        ("/v1/models/{model_id:path}", routes.model),
        ("/v1/usage", routes.usage),
    ):
        app.add_api_route(path, route, methods=["GET"], response_model=None)
    app.include_router(showcase_routes(services.showcase, errors))
    return app


class _Routes:
    """From request to use case to answer."""

    def __init__(self, services: AccountServices, errors: Errors) -> None:
        self._services = services
        self._errors = errors

    async def models(self, request: Request) -> Response:
        async def answered(caller: Caller, *_windows: Window | None) -> dict[str, Any]:
            catalogue = await self._services.directory.catalogue()
            return model_list(catalogue.allowed(caller.key.models), self._margin_bps(caller))

        return await self._to_caller(request, answered)

    async def model(self, request: Request, model_id: str) -> Response:
        async def answered(caller: Caller, *_windows: Window | None) -> dict[str, Any] | Refusal:
            model = find_model(await self._services.directory.catalogue(), caller, model_id)
            return model if isinstance(model, Refusal) else model_object(model, self._margin_bps(caller))

        return await self._to_caller(request, answered)

    async def usage(self, request: Request) -> Response:
        async def answered(caller: Caller, of_account: Window, of_key: Window | None) -> dict[str, Any]:
            tallies = await self._services.usage.total(caller.account)
            return usage_report(summed(tallies, caller.key.id), of_account, of_key, self._now())

        return await self._to_caller(request, answered)

    async def _to_caller(self, request: Request, answered: Answered) -> Response:
        """Answer a known key, with both counters; refuse any other."""
        caller = await self._services.access.authenticate(bearer_token(request.scope), source_ip(request.scope))
        if isinstance(caller, Refusal):
            return self._errors.answer(caller)
        window = await self._services.counters.of_account(caller.account)
        of_key = await self._services.counters.of_key(caller.key)
        binding = [window] if of_key is None else [of_key, window]
        headers = limit_headers(standing_of(*binding), self._now())
        answer: dict[str, Any] | Refusal = _DISABLED
        if not window.blocked & {EVERY_KEY, caller.key.ref}:
            answer = await answered(caller, window, of_key)
        if isinstance(answer, Refusal):
            return self._errors.answer(answer, headers)
        headers["cache-control"] = "no-store"
        return Response(json_bytes(answer), headers=headers, media_type="application/json")

    def _margin_bps(self, caller: Caller) -> int:
        own = caller.account.margin_bps
        return self._services.margin_bps if own is None else own

    def _now(self) -> int:
        return self._services.clock.now_ms() // 1000

"""
The site as an ASGI app: the pages, what they are made of, `/health`, and 404 in our shape for all the rest.

It reads nothing: no key, no database. `/health` therefore says that this process answers, not that models do. What
pages show comes from the other functions' routes.
"""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jatevo.adapters.http.starlette_errors import NOT_FOUND, Edge, Errors
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.ports import Clock, Randomness
from jatevo_site.pages import PAGES, Site, base_path


@dataclass(frozen=True, slots=True)
class SiteServices:
    """What the app needs, wired by bootstrap."""

    version: str
    clock: Clock
    randomness: Randomness
    wording: ErrorWording


def create_app(services: SiteServices) -> Starlette:
    """Return the app."""
    errors = Errors(services.clock, services.wording)
    site = Site(services.version)

    async def health(_request: Request) -> JSONResponse:
        headers = {"cache-control": "no-store"}
        return JSONResponse({"status": "ok", "version": services.version}, headers=headers)

    async def page(request: Request) -> Response:
        return site.page(request.url.path, base_path(request.scope))

    async def asset(request: Request) -> Response:
        return site.asset(request.path_params["version"], request.path_params["name"]) or errors.answer(NOT_FOUND)

    edge = Middleware(Edge, errors=errors, clock=services.clock, randomness=services.randomness)
    routes = [
        Route("/health", health),
        *(Route(path, page) for path in PAGES),
        Route("/assets/{version}/{name}", asset),
    ]
    app = Starlette(routes=routes, middleware=[edge])
    app.router.redirect_slashes = False
    errors.add_to(app)
    return app

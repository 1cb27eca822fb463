"""
The site as an ASGI app: `/health` for liveness, `/` which says what this is, and 404 in our shape for all the rest.

It reads nothing: no key, no database. `/health` therefore says that this process answers, not that models do.
"""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jatevo.adapters.http.starlette_errors import Edge, Errors
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.application.ports import Clock, Randomness


@dataclass(frozen=True, slots=True)
class SiteServices:
    """What the app needs, wired by bootstrap."""

    version: str
    clock: Clock
    randomness: Randomness
    wording: ErrorWording


def create_app(services: SiteServices) -> Starlette:
    """Return the app."""

    async def health(_request: Request) -> JSONResponse:
        headers = {"cache-control": "no-store"}
        return JSONResponse({"status": "ok", "version": services.version}, headers=headers)

    async def front(_request: Request) -> JSONResponse:
        return JSONResponse(
            {
                "name": "Jatevo Gateway",
                "version": services.version,
                "api": "The OpenAI API under /v1, with an API key as bearer token; GET /v1/models lists the models.",
            }
        )

    errors = Errors(services.clock, services.wording)
    edge = Middleware(Edge, errors=errors, clock=services.clock, randomness=services.randomness)
    app = Starlette(routes=[Route("/health", health), Route("/", front)], middleware=[edge])
    app.router.redirect_slashes = False
    errors.add_to(app)
    return app

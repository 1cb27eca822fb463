"""`GET /admin/v1/checks`: does every schedule run, do the upstreams answer, are the books whole?"""

from dataclasses import asdict

from fastapi import APIRouter

from jatevo.application.administration import Administration
from jatevo_admin.shapes import Json


def checks(administration: Administration) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.get("/checks")
    async def run() -> Json:
        return {"checks": [asdict(check) for check in await administration.checkup.run()]}

    return router

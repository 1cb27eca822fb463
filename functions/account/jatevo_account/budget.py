"""`GET /budget`: why the account's limits are what they are, and what is left of them today."""

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.wire.budget_report import budget_report
from jatevo.application.self_service import SelfService
from jatevo_account.answers import answer
from jatevo_account.guard import Guard, owner_of


def budget_routes(services: Callable[[], SelfService], _errors: Errors) -> APIRouter:
    """Return the route."""
    router = APIRouter(dependencies=[Depends(Guard(services))])

    @router.get("/budget", response_model=None)
    async def budget(request: Request) -> Response:
        return answer(budget_report(await services().budgets.today(owner_of(request).account)))

    return router

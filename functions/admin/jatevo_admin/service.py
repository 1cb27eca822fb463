"""Routes of the service as a whole: what the day comes to, its ceiling, and stopping and resuming it."""

from fastapi import APIRouter, Request

from jatevo.application.administration import Administration
from jatevo.application.spending import Spending
from jatevo.domain.money import format_usd
from jatevo.domain.service import percent_of
from jatevo_admin.bodies import CeilingBody, ReasonBody
from jatevo_admin.shapes import Json


def service(administration: Administration) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/service")
    switch, audit = administration.service, administration.audit

    @router.get("")
    async def show() -> Json:
        return _shape(await switch.show())

    @router.post("/stop")
    async def stop(body: ReasonBody, request: Request) -> Json:
        operator = request.state.operator
        async with audit.changing(operator, "service.stop", "service", body.given()) as trail:
            before, after = _shape(await switch.show()), _shape(await switch.stop(operator, body.reason))
            trail.made(before, after)
        return after

    @router.post("/resume")
    async def resume(body: ReasonBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "service.resume", "service", body.given()) as trail:
            before, after = _shape(await switch.show()), _shape(await switch.resume(body.reason))
            trail.made(before, after | {"reason": body.reason})
        return after

    @router.put("/ceiling")
    async def set_ceiling(body: CeilingBody, request: Request) -> Json:
        async with audit.changing(request.state.operator, "service.ceiling", "service", body.given()) as trail:
            before, after = _shape(await switch.show()), _shape(await switch.set_ceiling(body.wanted(), body.reason))
            trail.made(before, after | {"reason": body.reason})
        return after

    return router


def _shape(found: Spending) -> Json:
    pause, ceiling = found.pause, found.ceiling_nano_usd
    return {
        "taking_requests": pause is None,
        "stopped_by": None if pause is None else pause.by,
        "stopped_because": None if pause is None else pause.reason,
        "stopped_at_unix_s": None if pause is None else pause.since_unix_s,
        "until_unix_s": None if pause is None else pause.until_unix_s,
        "spent_today_usd": format_usd(found.spent_nano_usd),
        "ceiling_usd": format_usd(ceiling) if ceiling else None,
        "percent_of_ceiling": percent_of(found.spent_nano_usd, ceiling) if ceiling else None,
    }

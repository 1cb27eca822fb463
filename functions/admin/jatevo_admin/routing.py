"""
Routes and the audit trail over HTTP.

| route under `/admin/v1`                                      | what                                                |
|--------------------------------------------------------------|-----------------------------------------------------|
| `GET /routes`                                                | every route, how it stands, and the lanes that use it |
| `GET /lanes`                                                 | every lane, what it promises, and its use right now |
| `POST /routes/decide`                                        | how a request would be routed, and why              |
| `POST /pools/{id}/drain`, `POST /pools/{id}/undrain`         | take a pool out of use, and back                    |
| `GET /audit`                                                 | what operators changed in a `?month=`, newest first |
"""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from jatevo.application.administration import Administration, bounds
from jatevo.application.administration.lanes import LaneInUse
from jatevo.application.administration.routes import Decision, Question, RouteHealth
from jatevo.application.audit import Change, State
from jatevo.application.routes_store import Shared
from jatevo.domain.refusals import Refusal
from jatevo_admin.bodies import QuestionBody
from jatevo_admin.shapes import Json, bound_shape

type Month = Annotated[str | None, Query(max_length=7)]
type Latest = Annotated[int, Query(ge=1, le=1000)]


def routing(administration: Administration) -> APIRouter:
    """Return the routes of routes."""
    router = APIRouter()
    routes, audit = administration.routes, administration.audit

    @router.get("/routes")
    async def show() -> Json:
        return {"routes": [_route(route) for route in await routes.all()]}

    @router.get("/lanes")
    async def lanes() -> Json:
        return {"lanes": [_lane(lane) for lane in await administration.lanes.all()]}

    @router.post("/routes/decide")
    async def decide(body: QuestionBody) -> Json:
        question = Question(**body.given() | {"fields": frozenset(body.fields)})
        decided = await routes.decide(question)
        if isinstance(decided, Refusal):
            return {"lanes": [], "refusal": {"code": decided.code.value, "detail": decided.detail}}
        return {"lanes": [_decision(one) for one in decided], "refusal": None}

    @router.post("/pools/{pool_id}/drain")
    async def drain(pool_id: str, request: Request) -> Json:
        async with audit.changing(request.state.operator, "pool.drain", pool_id[:64]) as trail:
            before = _pool(await routes.shared(pool_id))
            after = _pool(await routes.drain(pool_id, request.state.operator))
            trail.made(before, after)
        return {"pool": pool_id, **after}

    @router.post("/pools/{pool_id}/undrain")
    async def undrain(pool_id: str, request: Request) -> Json:
        async with audit.changing(request.state.operator, "pool.undrain", pool_id[:64]) as trail:
            before = _pool(await routes.shared(pool_id))
            after = _pool(await routes.undrain(pool_id))
            trail.made(before, after)
        return {"pool": pool_id, **after}

    @router.get("/audit")
    async def changes(month: Month = None, limit: Latest = 100) -> Json:
        of_month = administration.books.month() if month is None else bounds.month(month)
        return {"changes": [_change(change) for change in await audit.changes(of_month, limit)]}

    return router


def _route(found: RouteHealth) -> Json:
    return {
        "model": found.model.id,
        "pool": found.pool.id,
        "upstream_model": found.route.model,
        "priority": found.route.priority,
        "weight": found.route.weight,
        "asked": found.asks.value if found.shared.drained_by is None else "drained",
        **_pool(found.shared),
        "concurrency": found.pool.concurrency,
        "lanes": [{"lane": lane.id, "guaranteed": lane.guaranteed.get(found.pool.id, 0)} for lane in found.lanes],
    }


def _lane(found: LaneInUse) -> Json:
    today = found.today
    return {
        "lane": found.lane.id,
        "margin_bps": found.lane.margin_bps,
        "models": list(found.models),
        "pools": list(found.pools),
        "places": [asdict(places) for places in found.places],
        "today": None if today is None else bound_shape(today),
    }


def _pool(shared: Shared) -> Json:
    return {
        "breaker": shared.breaker.state.value,
        "until_unix_ms": shared.breaker.until_ms or None,
        "opened_in_a_row": shared.breaker.trips,
        "changed_at_unix_s": shared.changed_at_unix_s or None,
        "drained_by": shared.drained_by,
        "drained_at_unix_s": shared.drained_at_unix_s or None,
    }


def _decision(decision: Decision) -> Json:
    plan = decision.plan
    return {
        "lane": plan.lane.id,
        "model": plan.model.id,
        "answered_as": plan.request.model,
        "routes": [
            {
                "pool": choice.route.pool,
                "upstream_model": choice.route.model,
                "place": None if choice.place is None else choice.place + 1,
                "standing": choice.standing.value,
                "priority": choice.route.priority,
                "weight": choice.route.weight,
                "score": round(choice.score, 6),
            }
            for choice in plan.choices
        ],
        "left_out": [
            {"pool": route.pool, "upstream_model": route.model, "why": why} for route, why in decision.left_out.items()
        ],
    }


def _change(change: Change) -> Json:
    return {
        "at_unix_ms": change.at_ms,
        "operator": change.operator,
        "action": change.action,
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
        "unclear": change.state is State.UNCLEAR,
        "asked": change.asked,
    }

"""
Admission: everything a request must pass before an upstream is called.

Model exists and is allowed → some route honours the request and is well → its worst case is reserved. What no route can
take is refused before anything is reserved. A lane whose slots are taken gives way to the next that may serve.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jatevo.application.client_errors import ClientErrors
from jatevo.application.exchange import Formats, InferenceRequest
from jatevo.application.health import Health
from jatevo.application.planning import Plan, Planner
from jatevo.application.ports import Clock, Directory, Upstream, UpstreamCall
from jatevo.application.reservations import Reservation, Reservations, Wanted
from jatevo.domain.accounts import Caller
from jatevo.domain.calendar import iso_instant
from jatevo.domain.catalogue import Catalogue, Model
from jatevo.domain.projection import Ask, project
from jatevo.domain.refusals import Code, Refusal, Scope
from jatevo.domain.service import Pause

_LATER_S = 300


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that holds its worst case, and the routes that can serve it, best first."""

    plan: Plan
    reservation: Reservation
    input_field: str

    @property
    def request(self) -> InferenceRequest:
        return self.plan.request


@dataclass(frozen=True, slots=True)
class InputCount:
    """How many tokens an input comes to: counted as its model does, or estimated, and then no fewer."""

    input_tokens: int
    estimated: bool


class Admission:
    """Admits requests for one gateway process."""

    def __init__(
        self,
        directory: Directory,
        reservations: Reservations,
        upstream: Upstream,
        clock: Clock,
        errors: ClientErrors,
        planner: Planner,
        health: Health,
    ) -> None:
        self._directory = directory
        self._reservations = reservations
        self._upstream = upstream
        self._clock = clock
        self._errors = errors
        self._planner = planner
        self._health = health

    async def prepare(self) -> None:
        """Read ahead what the first request needs. Raises StoreError: then no request could be served."""
        await asyncio.gather(self._directory.catalogue(), self._health.refresh())

    async def admit(self, caller: Caller, request: InferenceRequest, formats: Formats) -> Admitted | Refusal:
        """Return the admitted request, or why not. Raises StoreError when the store does not answer."""
        planned = await self._planned(caller, request, formats)
        if isinstance(planned, Refusal):
            return planned
        catalogue, ask, plans = planned
        journal = request.journal
        await self._errors.hold_back(caller.account.id)
        result: Admitted | Refusal | None = None
        for plan in plans:
            slots = [plan.slots.get(route.pool.id) for route in plan.routes] if plan.slots else []
            wanted = Wanted(caller, plan.model, catalogue.version, ask, plan.lane, slots)
            result = await self._admitted(wanted, plan, formats)
            if not _lane_is_full(result):
                break
            journal.full_lanes += (plan.lane.id,)
        assert result is not None, "there is a plan, or a refusal"
        journal.model, journal.lane = plan.model.id, plan.lane.id
        if isinstance(result, Admitted):
            journal.reserved_at_ms = result.reservation.reserved_at_ms
        journal.mark("admit")
        return result

    async def model_of(self, caller: Caller, request: InferenceRequest, formats: Formats) -> Model | Refusal:
        """Return the model that would serve a request, or why none would. Raises StoreError."""
        planned = await self._planned(caller, request, formats)
        return planned if isinstance(planned, Refusal) else planned[2][0].model

    async def count(self, caller: Caller, request: InferenceRequest, formats: Formats) -> InputCount | Refusal:
        """Return how many tokens the input of a request comes to, or why it would not be served. Raises StoreError."""
        planned = await self._planned(caller, request, formats)
        if isinstance(planned, Refusal):
            return planned
        _, ask, plans = planned
        exact = await self._exactly(plans[0])
        counted = replace(ask, exact_input_tokens=exact)
        return InputCount(project(plans[0].model, counted, 0).input_tokens, estimated=exact is None)

    async def _planned(
        self, caller: Caller, request: InferenceRequest, formats: Formats
    ) -> tuple[Catalogue, Ask, Sequence[Plan]] | Refusal:
        catalogue, _ = await asyncio.gather(self._directory.catalogue(), self._health.refresh())
        pause = self._health.pause()
        if pause is not None:
            return _paused(pause, self._clock.now_ms() // 1000)
        ask = Ask(
            size=request.size,
            choices=request.choices,
            output_cap=request.output_cap,
            estimate_permille=caller.account.estimate_at(self._clock.now_ms() // 1000),
        )
        plans = self._planner.plan(catalogue, caller, request, formats, ask)
        return plans if isinstance(plans, Refusal) else (catalogue, ask, plans)

    async def _exactly(self, plan: Plan) -> int | None:
        best = plan.routes[0]
        body = best.wire.countable(plan.request, best.pool)
        if body is None:
            return None
        return await self._upstream.count_tokens(UpstreamCall(best.pool, best.wire.path, body, 0, ""))

    async def _admitted(self, wanted: Wanted, plan: Plan, formats: Formats) -> Admitted | Refusal:
        result = await self._reservations.reserve(wanted, lambda: self._exactly(plan))
        if isinstance(result, Refusal):
            return result
        return Admitted(plan.beginning_with(result.place), result, formats.input_field)


def _paused(pause: Pause, now_unix_s: int) -> Refusal:
    """Return the refusal while the service is stopped. What an operator wrote of it is for operators."""
    if pause.until_unix_s is None:
        detail = "The service is paused by those who run it. Nothing was charged; try again later."
        return Refusal(Code.SERVICE_PAUSED, detail, retry_after_s=_LATER_S)
    detail = f"The service is paused until {iso_instant(pause.until_unix_s)}. Nothing was charged."
    return Refusal(Code.SERVICE_PAUSED, detail, retry_after_s=max(1, pause.until_unix_s - now_unix_s))


def _lane_is_full(result: Admitted | Refusal) -> bool:
    """Return whether another lane may still take a request: what refused it was this lane's own limit."""
    return isinstance(result, Refusal) and result.quota is not None and result.quota.scope is Scope.LANE

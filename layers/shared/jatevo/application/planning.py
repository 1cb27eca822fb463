"""
Planning: from what a client asks for to the routes that may serve it, in order, before anything is reserved.

A name is a model's id, `auto`, or either in a lane: `lane/model`. A bare id goes to the caller's reserved lanes first,
which rotate, then to the shared one; a lane pins itself. Within a lane, `domain/routing` orders the routes that honour
the request as it is. Whatever is refused here costs nothing and calls nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jatevo.application.exchange import Candidate, Formats, InferenceRequest
from jatevo.application.health import Health
from jatevo.application.names import allowed_model, names, unknown, usable_lanes
from jatevo.application.ports import Clock, Randomness
from jatevo.domain import auto, routing
from jatevo.domain.accounts import Caller
from jatevo.domain.binding import Slot, slot_in
from jatevo.domain.catalogue import Catalogue, Modality, Model, Pool, Route
from jatevo.domain.lanes import SHARED, Lane, split_name
from jatevo.domain.projection import Ask
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.routing import Choice, Option

_LONGEST_WAIT_S = 60
_SHORTEST_WAIT_S = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """One lane's way to serve a request. `routes` are to be tried in this order; `choices` say why."""

    lane: Lane
    model: Model
    request: InferenceRequest
    routes: Sequence[Candidate]
    choices: Sequence[Choice]
    slots: Mapping[str, Slot] = field(default_factory=dict)
    """The places that are counted, by pool: in pools whose concurrency is divided."""

    def beginning_with(self, place: int) -> "Plan":
        """Return the plan with the routes before `place`, which had no place free, at its end."""
        if place == 0:
            return self
        return replace(self, routes=[*self.routes[place:], *self.routes[:place]])

    def share(self, pool: Pool) -> str:
        """Return which part of a pool's concurrency its requests take: the lane's own, or the rest (empty)."""
        return share_of(self.lane, pool)

    def has_own_places(self, pool: Pool) -> bool:
        """Return whether the lane has places in a pool that nobody else can take."""
        return pool.id in self.lane.guaranteed


def share_of(lane: Lane, pool: Pool) -> str:
    """Return the name of the part of a pool's concurrency that a lane's requests take."""
    return lane.id if pool.id in lane.guaranteed else ""


class Planner:
    """Plans requests for one gateway process. `only_lane`: the one lane it serves; empty for all."""

    def __init__(self, health: Health, clock: Clock, randomness: Randomness, *, only_lane: str = "") -> None:
        self._health = health
        self._clock = clock
        self._randomness = randomness
        self._only_lane = only_lane

    def plan(
        self, catalogue: Catalogue, caller: Caller, request: InferenceRequest, formats: Formats, ask: Ask
    ) -> Sequence[Plan] | Refusal:
        """Return the plans of a request, one for each lane that may serve it, best first; or why there is none."""
        lanes = usable_lanes(catalogue, caller, request.model, only_lane=self._only_lane)
        if isinstance(lanes, Refusal):
            return lanes
        if caller.account.zdr:
            request = replace(request, zdr=True)
        key = self._key(caller, request)
        lanes = _rotated(lanes, key)
        model = split_name(request.model)[1]
        if model == auto.AUTO:
            picked = self._picked(catalogue, caller, lanes, request, formats, ask, key)
        else:
            picked = self._named(catalogue, caller, lanes, request, formats, key)
        if isinstance(picked, Refusal):
            return picked
        ready = [plan for plan in picked if plan.routes]
        return ready or self._none_ready(picked)

    def _named(
        self,
        catalogue: Catalogue,
        caller: Caller,
        lanes: Sequence[Lane],
        request: InferenceRequest,
        formats: Formats,
        key: str,
    ) -> list[Plan] | Refusal:
        """Return the plans for the model that a request names."""
        model = allowed_model(catalogue, caller, lanes, split_name(request.model)[1], request.model)
        if isinstance(model, Refusal):
            return model
        return self._plans(catalogue, caller, lanes, model, request, formats, key)

    def _picked(
        self,
        catalogue: Catalogue,
        caller: Caller,
        lanes: Sequence[Lane],
        request: InferenceRequest,
        formats: Formats,
        ask: Ask,
        key: str,
    ) -> list[Plan] | Refusal:
        """Return the plans for the model that `auto` stands for: the first in its order that some route is well for."""
        models = [model for model in catalogue.models.values() if model.auto and _may_use(caller, lanes, model.id)]
        fallback: list[Plan] | Refusal | None = None
        for model in auto.by_preference(models, ask):
            plans = self._plans(catalogue, caller, lanes, model, request, formats, key)
            if isinstance(plans, Refusal):
                fallback = fallback or plans
                continue
            plans = [replace(plan, request=_answered_as(plan, request)) for plan in plans]
            if any(plan.routes for plan in plans):
                return plans
            fallback = plans if fallback is None or isinstance(fallback, Refusal) else fallback
        if fallback is None and models:
            detail = "No model that this API key may use has a context window for this request. Shorten it."
            return Refusal(Code.CONTEXT_LENGTH_EXCEEDED, detail, param=formats.input_field)
        return fallback or unknown(request.model)

    def _plans(
        self,
        catalogue: Catalogue,
        caller: Caller,
        lanes: Sequence[Lane],
        model: Model,
        request: InferenceRequest,
        formats: Formats,
        key: str,
    ) -> list[Plan] | Refusal:
        """Return a plan for each lane that sells a model and honours the request, or the first refusal."""
        plans: list[Plan] = []
        refusal: Refusal | None = None
        for lane in lanes:
            if not (catalogue.sells(model, lane) and names(caller, lane, model.id)):
                continue
            honouring = honouring_routes(catalogue, lane, model, request, formats)
            if isinstance(honouring, Refusal):
                refusal = refusal or honouring
            else:
                plans.append(self._ordered(catalogue, caller, lane, model, request, honouring, key))
        return plans or refusal or unknown(request.model)

    def _ordered(
        self,
        catalogue: Catalogue,
        caller: Caller,
        lane: Lane,
        model: Model,
        request: InferenceRequest,
        honouring: Mapping[Route, Candidate],
        key: str,
    ) -> Plan:
        options = [self._option(catalogue, caller, lane, candidate) for candidate in honouring.values()]
        choices = routing.ordered(options, key)
        routes = [honouring[choice.route] for choice in choices if choice.place is not None]
        return Plan(lane, model, request, routes, choices, _slots(catalogue, lane, routes))

    def _option(self, catalogue: Catalogue, caller: Caller, lane: Lane, candidate: Candidate) -> Option:
        pool = candidate.pool
        own_places = pool.id in lane.guaranteed
        standing, ready_at_ms = self._health.standing(pool.id, caller.account.id, own_places=own_places)
        share = share_of(lane, pool)
        return Option(
            candidate.route,
            standing,
            in_flight=self._health.under_way(pool.id, share),
            room=_room(catalogue, lane, pool),
            ready_at_ms=ready_at_ms,
        )

    def _key(self, caller: Caller, request: InferenceRequest) -> str:
        """Return what a request sticks by: its cache key, else its conversation, else nothing but chance."""
        named = request.body.get("prompt_cache_key")
        hint = f"key {named}" if isinstance(named, str) and named else request.conversation
        return routing.sticky_key(caller.account.id, hint) if hint else f"{self._randomness.bits(64)}"

    def _none_ready(self, plans: Sequence[Plan]) -> Refusal:
        """Return the refusal of a request that no route can take at this moment."""
        now_ms = self._clock.now_ms()
        waits = [wait for plan in plans if (wait := routing.ready_in_ms(plan.choices, now_ms)) is not None]
        wait_s = -(-min(waits, default=5_000) // 1000)
        detail = "The model is not available right now. You were not charged; try again."
        after_s = min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wait_s))
        return Refusal(Code.UPSTREAM_UNAVAILABLE, detail, retry_after_s=after_s)


def honouring_routes(
    catalogue: Catalogue, lane: Lane, model: Model, request: InferenceRequest, formats: Formats
) -> Mapping[Route, Candidate] | Refusal:
    """Return the routes of a lane that serve a request as it is, or the refusal that names what none can."""
    unsold = _unsold(model, request)
    if unsold is not None:
        return _unserved(model, unsold, formats)
    served = _served(catalogue, lane, model, formats)
    if not served:
        return Refusal(Code.MODEL_NOT_FOUND, f"The model '{model.id}' is not served by this route.", param="model")
    refusals = {route: _refusal(candidate, model, request, formats) for route, candidate in served.items()}
    honouring = {route: served[route] for route, refusal in refusals.items() if refusal is None}
    return honouring or next(filter(None, refusals.values()))


def left_out(catalogue: Catalogue, plan: Plan, formats: Formats) -> Mapping[Route, str]:
    """Return the routes of a plan's model that cannot serve its request as it is, each with the reason."""
    served = _served(catalogue, plan.lane, plan.model, formats)
    found: dict[Route, str] = {}
    for route in plan.model.routes:
        if not catalogue.serves(catalogue.pools[route.pool], plan.lane):
            found[route] = f"The lane '{plan.lane.id}' does not use this pool."
        elif route not in served:
            found[route] = "The pool does not speak the format of this request."
        elif (refusal := _refusal(served[route], plan.model, plan.request, formats)) is not None:
            found[route] = refusal.detail
    return found


def _served(catalogue: Catalogue, lane: Lane, model: Model, formats: Formats) -> Mapping[Route, Candidate]:
    """Return the routes of a model that a lane uses, and that speak a format of the request."""
    pools = ((catalogue.pools[route.pool], route) for route in model.routes)
    return {
        route: Candidate(pool, route, wire)
        for pool, route in pools
        if catalogue.serves(pool, lane) and (wire := formats.for_pool(pool)) is not None
    }


def _room(catalogue: Catalogue, lane: Lane, pool: Pool) -> int | None:
    """
    Return how many requests at once this process may have at a pool; None where nothing bounds them, or slots do.

    A pool that is not divided promised nothing to anybody, so each process bounds its own requests only.
    """
    if catalogue.divided(pool):
        return None if lane.guaranteed.get(pool.id) or catalogue.rest(pool) else 0
    return pool.concurrency


def _slots(catalogue: Catalogue, lane: Lane, routes: Iterable[Candidate]) -> dict[str, Slot]:
    """Return a place for each pool whose concurrency is divided: the lane's own, or one of the rest."""
    slots = {candidate.pool.id: slot_in(catalogue, lane, candidate.pool) for candidate in routes}
    return {pool_id: slot for pool_id, slot in slots.items() if slot is not None}


def _refusal(candidate: Candidate, model: Model, request: InferenceRequest, formats: Formats) -> Refusal | None:
    """Return why one route cannot serve a request as it is."""
    pool = candidate.pool
    for modality, parts, name in (
        (Modality.IMAGE, request.size.images, "images"),
        (Modality.AUDIO, request.size.audio_parts, "audio"),
    ):
        if parts and modality not in pool.modalities:
            return _unserved(model, name, formats)
    if request.zdr and pool.zdr is None:
        detail = f"The model '{model.id}' is not served without its input being kept for a while."
        return Refusal(Code.UNSUPPORTED_PARAMETER, detail, param="x-jatevo-zdr")
    return candidate.wire.refusal(request, pool)


def _unsold(model: Model, request: InferenceRequest) -> str | None:
    """Return what a request has in it that the model has no price for."""
    for name, parts, sold in (
        ("images", request.size.images, model.price.base.image_input is not None),
        ("audio", request.size.audio_parts, model.price.base.audio_input is not None),
        ("files", request.size.files, model.estimate.file_tokens > 0),
    ):
        if parts and not sold:
            return name
    return None


def _unserved(model: Model, what: str, formats: Formats) -> Refusal:
    detail = f"The model '{model.id}' does not take {what} as input."
    return Refusal(Code.UNSUPPORTED_MODALITY, detail, param=formats.input_field)


def _may_use(caller: Caller, lanes: Iterable[Lane], model_id: str) -> bool:
    return any(names(caller, lane, model_id) for lane in lanes)


def _rotated(lanes: Sequence[Lane], key: str) -> list[Lane]:
    """Return the reserved lanes in the order that a key gives them, the shared one after them."""
    routes = {Route(lane.id, ""): lane for lane in lanes if lane.id != SHARED}
    rotated = [routes[choice.route] for choice in routing.ordered(map(Option, routes), key)]
    return [*rotated, *(lane for lane in lanes if lane.id == SHARED)]


def _answered_as(plan: Plan, request: InferenceRequest) -> InferenceRequest:
    """Return the request under the name of the model that was picked for it."""
    pinned, _ = split_name(request.model)
    return replace(plan.request, model=plan.model.id if pinned is None else f"{pinned}/{plan.model.id}")

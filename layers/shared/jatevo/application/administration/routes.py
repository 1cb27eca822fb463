"""
Routes as operators see and steer them: the health of each at a glance, pools taken out of use and put back, and how a
request would be routed, and why, without sending it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jatevo.application.administration.problems import NotThere
from jatevo.application.exchange import Formats, InferenceRequest
from jatevo.application.health import Health
from jatevo.application.planning import Plan, Planner, left_out
from jatevo.application.ports import Clock, Directory
from jatevo.application.registry import Registry
from jatevo.application.routes_store import HealthStore, Shared
from jatevo.domain.accounts import Account, ApiKey, Caller
from jatevo.domain.breaker import State
from jatevo.domain.catalogue import Catalogue, Model, Pool, Route
from jatevo.domain.lanes import SHARED, Lane
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.refusals import Refusal
from jatevo.domain.windows import Limits

_ANYBODY = "anybody"


@dataclass(frozen=True, slots=True)
class RouteHealth:
    """One route, how its pool stands, and the lanes that use it. `asks`: whether it would be asked at this moment."""

    model: Model
    route: Route
    pool: Pool
    shared: Shared
    asks: State
    lanes: Sequence[Lane]


@dataclass(frozen=True, slots=True)
class Question:
    """A request as far as routing it goes."""

    model: str
    lane: str | None = None
    key_id: str | None = None
    input_bytes: int = 400
    output_tokens: int | None = None
    images: int = 0
    fields: frozenset[str] = frozenset()
    prompt_cache_key: str | None = None
    zdr: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How a lane would serve a request. `left_out`: the routes that cannot take it as it is, each with the reason."""

    plan: Plan
    left_out: Mapping[Route, str]


class Routes:
    """Shows and steers routes. `formats`: the format that a dry run is asked in."""

    def __init__(
        self,
        directory: Directory,
        registry: Registry,
        store: HealthStore,
        health: Health,
        planner: Planner,
        formats: Formats,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._store = store
        self._health = health
        self._planner = planner
        self._formats = formats
        self._clock = clock

    async def all(self) -> Sequence[RouteHealth]:
        """Return every route of the catalogue in force, by model, as stored at this moment."""
        catalogue, known = await self._directory.catalogue(), (await self._store.read()).pools
        now_ms = self._clock.now_ms()
        shared_lane = catalogue.lane(SHARED)
        assert shared_lane is not None, "the shared lane is there without being listed"
        lanes = [lane for lane in catalogue.lanes.values() if lane.id != SHARED] + [shared_lane]
        found = []
        for _, model in sorted(catalogue.models.items()):
            for route in sorted(model.routes, key=lambda route: (route.priority, route.pool)):
                pool, shared = catalogue.pools[route.pool], known.get(route.pool, Shared())
                using = [lane for lane in lanes if catalogue.sells(model, lane) and catalogue.serves(pool, lane)]
                found.append(RouteHealth(model, route, pool, shared, shared.breaker.asks(now_ms), using))
        return found

    async def drain(self, pool_id: str, operator: str) -> Shared:
        """Take a pool out of use: requests under way end, new ones go elsewhere within seconds. Raises NotThere."""
        return await self._drained(pool_id, operator)

    async def undrain(self, pool_id: str) -> Shared:
        """Put a pool back into use. Raises NotThere."""
        return await self._drained(pool_id, None)

    async def shared(self, pool_id: str) -> Shared:
        """Return what is stored of a pool."""
        return (await self._store.read()).pools.get(pool_id, Shared())

    async def decide(self, question: Question) -> Sequence[Decision] | Refusal:
        """Return how a request would be routed at this moment, and why. Nothing is reserved and nobody is asked."""
        catalogue = await self._directory.catalogue()
        self._health.forget()
        await self._health.refresh()
        name = question.model if question.lane is None else f"{question.lane}/{question.model}"
        size = InputSize(ascii_bytes=question.input_bytes, messages=1, images=question.images)
        body = {**dict.fromkeys(sorted(question.fields), ""), "messages": ()}
        if question.prompt_cache_key is not None:
            body["prompt_cache_key"] = question.prompt_cache_key
        request = InferenceRequest(name, size, body, output_cap=question.output_tokens, zdr=question.zdr)
        caller = await self._caller(catalogue, question)
        ask = Ask(size, output_cap=question.output_tokens)
        plans = self._planner.plan(catalogue, caller, request, self._formats, ask)
        if isinstance(plans, Refusal):
            return plans
        return [Decision(plan, left_out(catalogue, plan, self._formats)) for plan in plans]

    async def _drained(self, pool_id: str, operator: str | None) -> Shared:
        catalogue = await self._directory.catalogue()
        if pool_id not in catalogue.pools:
            raise NotThere(f"There is no pool {pool_id[:64]!r} in the catalogue in force.", param="pool")
        await self._store.drain(pool_id, operator, now_unix_s=self._clock.now_ms() // 1000)
        self._health.forget()
        return await self.shared(pool_id)

    async def _caller(self, catalogue: Catalogue, question: Question) -> Caller:
        """Return whom a dry run is for: a key, or somebody who may use every lane."""
        if question.key_id is None:
            account = Account(_ANYBODY, _ANYBODY, Limits(), lanes=frozenset(catalogue.lanes))
            return Caller(ApiKey(_ANYBODY, "", _ANYBODY, "", ""), account)
        key = await self._registry.key(question.key_id)
        account_of_key = None if key is None else await self._registry.account(key.account_id)
        if key is None or account_of_key is None:
            raise NotThere(f"There is no key {question.key_id[:64]!r}.", param="key_id")
        return Caller(key, account_of_key)

"""
A gateway over several pools, each a scripted upstream of its own that can be killed and come back.

Pools are named `secret-…`, as are their models, so that no byte of theirs can reach a client unnoticed.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from jatevo.bootstrap import Settings
from jatevo_testing.bench import Bench, Told, check_seen
from jatevo_testing.served import Seen, seen_by, served
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Script, ScriptedUpstream
from jatevo_testing.world import MODEL, Customer, World

SETTINGS = Settings(directory_keep_ms=0, upstream_deadline_s=20, reservation_grace_s=10, breaker_cooldown_s=1)


@dataclass
class Fleet:
    """A served gateway and its pools, by the letter of their names."""

    world: World
    bench: Bench
    pools: dict[str, ScriptedUpstream]
    version: int = 0

    def apply(
        self,
        *,
        models: list[dict[str, Any]] | None = None,
        lanes: list[dict[str, Any]] | None = None,
        **quirks: dict[str, Any],
    ) -> None:
        """Put a catalogue in force: `quirks` are more fields of a pool, by its letter."""
        pools = [
            {"id": f"secret-{name}", "base_url": upstream.base_url, "api_key": "env:POOL_KEY", **quirks.get(name, {})}
            for name, upstream in self.pools.items()
        ]
        document: dict[str, Any] = {"pools": pools, "models": models or [self.model()]}
        if lanes:
            document["lanes"] = lanes
        self.version += 1
        self.world.put_catalogue(document, self.version)
        self.world.gateway.health.forget()

    def reset(self) -> None:
        """Forget what became of pools, here and in the store, and put the plain catalogue in force again."""
        health, names = self.world.gateway.health, self.world.names
        health._pools.clear()
        health._doubts.clear()
        for item in self.world.dynamodb.scan(TableName=names.health)["Items"]:
            key = {"kind": item["kind"], "pool": item["pool"]}
            self.world.dynamodb.delete_item(TableName=names.health, Key=key)
        self.apply()
        self.behave()

    def model(self, name: str = "test-model", *, rotate: bool = False, **fields: Any) -> dict[str, Any]:
        """Return a model over all pools: in the order of their letters, or rotating over them."""
        routes = [
            {"pool": f"secret-{pool}", "model": f"secret-{pool}-model", "priority": 0 if rotate else place}
            for place, pool in enumerate(self.pools)
        ]
        return MODEL | {"id": name, "routes": routes} | fields

    def behave(self, **scripts: Script) -> None:
        """Have pools behave as these scripts, and forget what was asked of them."""
        for name, script in scripts.items():
            self.pools[name].script = script
        for upstream in self.pools.values():
            upstream.asked.clear()

    def asked(self) -> dict[str, int]:
        """Return how many requests each pool has seen since the last `behave`."""
        return {name: len(upstream.asked) for name, upstream in self.pools.items()}

    def customer(self, *, lanes: frozenset[str] = frozenset(), zdr: bool = False, **limits: Any) -> Customer:
        terms: dict[str, Any] = {"margin_bps": 0, "requests": 1000, "lanes": lanes, "zdr": zdr}
        return self.world.customer(**terms | limits)

    async def ask(self, customer: Customer | None = None, **body: Any) -> Told:
        """Send one request and check what must hold whatever happens."""
        return await self.bench._told(customer or self.customer(), body)

    async def ask_refused(self, customer: Customer | None = None, **body: Any) -> Seen:
        """Send one request that is refused before anything is reserved, and return what its client saw."""
        customer = customer or self.customer()
        before = len(await self.world.ledger(customer))
        seen = await seen_by(self.bench.client, customer.headers, **{"max_tokens": 100, **body})
        check_seen(seen)
        assert len(await self.world.ledger(customer)) == before
        return seen


@asynccontextmanager
async def fleet_over(
    endpoint_url: str, pools: str = "ab", settings: Settings = SETTINGS, **changes: Any
) -> AsyncIterator[Fleet]:
    """Serve a gateway over fresh tables and a scripted upstream for each letter of `pools`."""
    with fresh_tables(endpoint_url) as names:
        world = World(endpoint_url, names.windows.removesuffix("-windows"), replace(settings, **changes))
        async with AsyncExitStack() as stack:
            upstreams = {pool: await stack.enter_async_context(ScriptedUpstream()) for pool in pools}
            base_url = await stack.enter_async_context(served(world.app))
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=base_url, timeout=20))
            made = Fleet(world, Bench(world, next(iter(upstreams.values())), client), upstreams)
            made.apply()
            yield made
        await world.close()

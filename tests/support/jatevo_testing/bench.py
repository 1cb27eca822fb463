"""
One request at a time against an upstream that misbehaves: what the client sees beside what the books say.

Every request is checked for what must hold whatever the upstream does: nothing stays open, the identities hold, the
charge is within the reservation, an error never looks like a regular end, and no byte tells of what stands behind.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from jatevo.bootstrap import Settings
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.windows import Window, unbalanced_nano_usd
from jatevo_local.ports import free_port
from jatevo_testing.served import Seen, seen_by, served
from jatevo_testing.tables import fresh_tables
from jatevo_testing.upstream import Asked, Connection, Script, ScriptedUpstream
from jatevo_testing.waiting import eventually
from jatevo_testing.world import MODEL, Customer, World

INPUT_NANO_USD, OUTPUT_NANO_USD = 1_000, 2_000
"""The price of a token in the test catalogue."""

SETTINGS = Settings(directory_keep_ms=0, upstream_deadline_s=20, reservation_grace_s=10, breaker_failures=0)
"""No breaker opens: what one request meets must not depend on what others met before."""
_TELLS = (b"secret", b"127.0.0.1", b"upstream-id")


@dataclass(frozen=True)
class Settled:
    """What the books say of a request: `entry` is its decision, `window` its account's day after it."""

    entry: LedgerEntry
    window: Window

    @property
    def request_counted(self) -> bool:
        return self.window.requests_left == self.window.limits.requests - 1


@dataclass(frozen=True)
class Told(Settled):
    """And what its client saw."""

    seen: Seen


@dataclass
class Bench:
    """A served gateway and its upstream."""

    world: World
    upstream: ScriptedUpstream
    client: httpx.AsyncClient

    def customer(self, **limits: Any) -> Customer:
        return self.world.customer(**{"margin_bps": 0} | limits)

    async def ask(self, script: Script, customer: Customer | None = None, **body: Any) -> Told:
        """Send one request of a customer of its own, with the upstream behaving as `script`."""
        self.upstream.script = script
        return await self._told(customer or self.customer(), body)

    async def ask_all(self, scripts: Mapping[str, Script], **body: Any) -> dict[str, Told]:
        """Send a request for each script, all at once: what waits for a deadline may wait together."""

        async def by_user(asked: Asked, connection: Connection) -> None:
            await scripts[asked.body["user"]](asked, connection)

        self.upstream.script = by_user
        told = await asyncio.gather(*(self._told(self.customer(), body | {"user": name}) for name in scripts))
        return dict(zip(scripts, told, strict=True))

    async def _told(self, customer: Customer, body: Mapping[str, Any]) -> Told:
        seen = await seen_by(self.client, customer.headers, **{"max_tokens": 100, **body})
        check_seen(seen)
        settled = await self.settled(customer)
        return Told(settled.entry, settled.window, seen)

    async def settled(self, customer: Customer) -> Settled:
        """Wait until the customer's last request is decided and applied, and check the books."""

        async def at_rest() -> Window | None:
            window = await self.world.window(customer)
            return None if window.open else window

        entries = await eventually(lambda: self.world.ledger(customer))
        window = await eventually(at_rest)
        assert window is not None
        check_books(window, entries)
        return Settled(entries[-1], window)


def check_seen(seen: Seen) -> None:
    """Check that an error never looks like a regular end, and that nothing tells of what stands behind."""
    for tell in _TELLS:
        assert tell not in seen.everything, tell
    failed = seen.status != 200 or any("error" in event for event in seen.events)
    assert not (failed and seen.done)
    if seen.headers["content-type"].startswith("text/event-stream"):
        assert seen.broken == failed == (not seen.done)
    assert seen.headers["x-request-id"].startswith("req_")


def check_books(window: Window, entries: list[LedgerEntry]) -> None:
    assert unbalanced_nano_usd(window) == 0
    assert window.settled_nano_usd == sum(entry.figures.charge_nano_usd for entry in entries)
    assert window.exposed_nano_usd == sum(entry.figures.exposure_nano_usd for entry in entries)
    counted = sum(not entry.gives_request_back for entry in entries)
    assert window.requests_left + counted == window.limits.requests
    for entry in entries:
        figures = entry.figures
        assert 0 <= figures.charge_nano_usd <= entry.reserved_nano_usd
        assert figures.cost_nano_usd + figures.margin_nano_usd == figures.charge_nano_usd


def catalogue(base_url: str) -> dict[str, Any]:
    """Return models over every mixture of pools that is up, down, and hung up on when a client leaves."""
    main = {"id": "secret-main", "base_url": base_url, "api_key": "env:POOL_KEY"}
    dead = {"id": "secret-dead", "base_url": f"http://127.0.0.1:{free_port()}/v1"}
    routes = {
        "test-model": ["secret-main"],
        "stopped-model": ["secret-stopped"],
        "dead-model": ["secret-dead"],
        "failover-model": ["secret-dead", "secret-main"],
        "spare-model": ["secret-main", "secret-spare"],
    }
    return {
        "pools": [
            main,
            dead,
            main | {"id": "secret-stopped", "when_client_leaves": "stop"},
            main | {"id": "secret-spare", "cap_field": "max_completion_tokens"},
        ],
        "models": [
            MODEL
            | {
                "id": model,
                "routes": [{"pool": pool, "model": f"{pool}-model", "priority": at} for at, pool in enumerate(pools)],
            }
            for model, pools in routes.items()
        ],
    }


@asynccontextmanager
async def bench_over(endpoint_url: str, settings: Settings = SETTINGS) -> AsyncIterator[Bench]:
    """Serve a gateway over fresh tables of a running engine."""
    with fresh_tables(endpoint_url) as names:
        world = World(endpoint_url, names.windows.removesuffix("-windows"), settings)
        async with (
            ScriptedUpstream() as upstream,
            served(world.app) as base_url,
            httpx.AsyncClient(base_url=base_url, timeout=20) as client,
        ):
            world.put_catalogue(catalogue(upstream.base_url))
            yield Bench(world, upstream, client)
        await world.close()

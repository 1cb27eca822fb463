"""
Processes of a simulated gateway: its own app, administration and sweeper, wired by its own bootstrap.

Only the ends are exchanged: the client of the engine, the port to upstreams, the clock and the source of ids. A process
serves one request at a time, as on Lambda, or many at once, as on a server.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest import mock

from jatevo.adapters.dynamodb.models import Tables
from jatevo.adapters.http.asgi import AsgiApp
from jatevo.application.administration import Administration
from jatevo.application.holdings import BalanceReader, Readers
from jatevo.application.holdings_refresh import HoldingsRefresh
from jatevo.application.ports import Clock
from jatevo.application.price_updates import PriceUpdates
from jatevo.application.prices import PriceSource
from jatevo.application.snapshots import Snapshots
from jatevo.application.sweeper import Sweeper
from jatevo.bootstrap import Gateway, Settings
from jatevo_account.handler import create_app as create_account_app
from jatevo_inference.app import InferenceApp
from jatevo_inference.handler import create_app
from jatevo_local.engine import AWS_ENVIRONMENT
from jatevo_testing.clocks import SeededRandomness
from jatevo_testing.simulation.gateway.pools import Pools
from jatevo_testing.simulation.processes import KEEP_MS, Engine, SkewedClock
from jatevo_testing.simulation.wire import WiredClient

VISITOR_REQUESTS, VISITOR_NANO_USD = 3, 2000
"""What each visitor may use in a day."""
SETTINGS = Settings(
    table_prefix="simulated",
    upstream_deadline_s=60,
    reservation_grace_s=30,
    exposure_cap_bps=3000,
    directory_keep_ms=KEEP_MS,
    failover_s=40,
    entitlement_minimum_usd="0.00",
    entitlement_requests_per_1000_usd=10**12,
    price_rules="sustain_s=5",
    playground="on",
    playground_requests_per_day=40,
    playground_usd_per_day="0.00004",
    playground_concurrency=4,
    playground_visitor_requests_per_day=VISITOR_REQUESTS,
    playground_visitor_usd_per_day=f"0.{VISITOR_NANO_USD:09}",
)


class SimulatedGateway(Gateway):
    """A gateway whose chain and sources of the price are given."""

    def __init__(self, *, clock: Clock, seed: int, chain: BalanceReader, sources: Sequence[PriceSource]) -> None:
        super().__init__(SETTINGS, {**AWS_ENVIRONMENT, "POOL_KEY": "pool-key"}, clock=clock)
        self.randomness = SeededRandomness(seed)  # type: ignore[assignment]  # a seed's, not the system's
        self._chain = chain
        self._sources = sources

    def price_updates(self) -> PriceUpdates:
        return PriceUpdates(self._sources, self._price_store(), self.clock, self.settings.bounds_of_prices)

    def _readers(self) -> Readers:
        return {self._chain.token.namespace: self._chain}


@dataclass
class Lambda:
    """One process. `serving`: how many requests it has under way."""

    name: str
    gateway: Gateway
    app: InferenceApp
    one_at_a_time: bool
    serving: int = field(default=0)

    @property
    def free(self) -> bool:
        return not (self.one_at_a_time and self.serving)

    @cached_property
    def account_app(self) -> AsgiApp:
        return create_account_app(self.gateway)

    @cached_property
    def administration(self) -> Administration:
        return self.gateway.administration()

    @cached_property
    def refresh(self) -> HoldingsRefresh:
        return self.gateway.holdings_refresh()

    @cached_property
    def snapshots(self) -> Snapshots:
        return self.gateway.snapshots()

    @cached_property
    def price_updates(self) -> PriceUpdates:
        return self.gateway.price_updates()

    @cached_property
    def sweeper(self) -> Sweeper:
        return self.gateway.sweeper()


@contextmanager
def over(engine: Engine) -> Iterator[None]:
    """Let what is wired within use the engine's model under pynamodb, too."""
    with mock.patch.object(Tables, "connect", return_value=engine.tables):
        yield


@contextmanager
def without_threads() -> Iterator[None]:
    """Let what is done in threads within be done at once: in which order threads end, no seed decides."""

    async def at_once[T](work: Callable[..., T], *arguments: Any) -> T:
        await asyncio.sleep(0)
        return work(*arguments)

    with mock.patch.object(asyncio, "to_thread", at_once):
        yield


@dataclass(frozen=True)
class Surroundings:
    """What every process meets."""

    client: WiredClient
    pools: Pools
    chain: BalanceReader
    sources: Sequence[PriceSource]

    def started(self, name: str, clock: SkewedClock, seed: int, *, one_at_a_time: bool) -> Lambda:
        """Start a process."""
        with (
            mock.patch("jatevo.adapters.dynamodb.client.DynamoClient", return_value=self.client),
            mock.patch("jatevo.adapters.upstream.http.HttpUpstream", return_value=self.pools.of(clock)),
        ):
            gateway = SimulatedGateway(clock=clock, seed=seed, chain=self.chain, sources=self.sources)
            return Lambda(name, gateway, create_app(gateway), one_at_a_time)

"""The processes of a simulation: the product's own objects, wired over the wire, each process with its own clock."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from pynamodb.exceptions import PynamoDBException

from jatevo.adapters.dynamodb import registry as registry_module
from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.directory import DynamoDirectory
from jatevo.adapters.dynamodb.grants import DynamoGrants
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.adapters.dynamodb.models import Tables
from jatevo.adapters.dynamodb.registry import DynamoRegistry
from jatevo.adapters.dynamodb.schema import TableNames, definitions
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.access import Access
from jatevo.application.administration.accounts import Accounts
from jatevo.application.administration.grants import Grants
from jatevo.application.administration.keys import Keys
from jatevo.application.limits import LimitChanges
from jatevo.application.refusal_memory import RefusalMemory
from jatevo.application.reservations import Policy, Reservations
from jatevo.application.sweeper import Sweeper
from jatevo_local.engine import REGION
from jatevo_testing.clocks import ManualClock, SeededRandomness
from jatevo_testing.engine_model import MemoryEngine
from jatevo_testing.engine_model.seam import models_over
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.wire import REGISTRY, Wire
from jatevo_testing.tables import fresh_tables, plain_client

KEEP_MS = 10_000


class SkewedClock:
    """A process's own clock: a little off."""

    def __init__(self, true: ManualClock, skew_ms: int) -> None:
        self._true = true
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return self._true.now_ms() + self._skew_ms


@dataclass(frozen=True)
class Process:
    """One process: it may serve requests, sweep and carry out operators' changes."""

    name: str
    clock: SkewedClock
    access: Access
    reservations: Reservations
    sweeper: Sweeper
    accounts: Accounts
    keys: Keys
    grants: Grants


@dataclass(frozen=True)
class Engine:
    """An engine with tables, and blocking clients of it: a real one, or the model of one."""

    endpoint_url: str
    names: TableNames
    calls: Any
    """Sends what goes over the wire, once each."""
    tables: Tables


def in_memory() -> Engine:
    """Return the model of an engine, with fresh tables."""
    names = TableNames.with_prefix("simulated")
    model = MemoryEngine(definitions(names))
    return Engine("", names, model, models_over(model, names))


@contextmanager
def connected(endpoint_url: str) -> Iterator[Engine]:
    """Connect to an engine, with fresh tables."""
    with fresh_tables(endpoint_url) as names, closing(plain_client(endpoint_url)) as calls:
        yield Engine(endpoint_url, names, calls, Tables.connect(ClientOptions(REGION, endpoint_url), names))


def process(name: str, engine: Engine, client: DynamoClient, clock: SkewedClock, policy: Policy, seed: int) -> Process:
    """Wire one process as the gateway is wired."""
    windows, ledger = DynamoWindows(client, engine.names), DynamoLedger(client, engine.names)
    directory = DynamoDirectory(client, engine.names, clock, keep_ms=KEEP_MS)
    chance = SeededRandomness(seed)
    registry, limits = DynamoRegistry(engine.tables), LimitChanges(windows, clock)
    return Process(
        name,
        clock,
        Access(directory, clock),
        Reservations(windows, ledger, directory, clock, chance, policy, RefusalMemory()),
        Sweeper(windows, ledger, clock, exposure_cap_bps=policy.exposure_cap_bps),
        Accounts(registry, limits, clock, chance, forget=directory.forget),
        Keys(registry, limits, clock, chance, forget=directory.forget),
        Grants(DynamoGrants(client, engine.names), registry, windows, clock, chance),
    )


@contextmanager
def registry_on(wire: Wire, looked: Callable[[], None]) -> Iterator[None]:
    """Let the registry's blocking calls go over the wire, too, and not through threads. `looked`: called after each."""

    async def over_the_wire[T](call: Callable[[], T]) -> T:

        def send() -> T:
            try:
                return call()
            except PynamoDBException as error:
                raise registry_module._sorted(error) from error
            finally:
                looked()

        result: T = await wire.post(REGISTRY, send)
        return result

    with mock.patch.object(registry_module, "_in_thread", over_the_wire):
        yield


def skews(chance: Chance) -> int:
    """Most clocks are a little off; some so much that a sweeper expires what is still served."""
    return chance.choice([0, 0, chance.within(-900, 900), chance.within(-3000, 3000), chance.within(-40_000, 40_000)])

"""
What one window bears: the units of a write by how many requests are under way in it, and pairs of writes a second.

    PYTHONPATH=tests/support .venv/bin/python benchmarks/one_window.py

A pair is a request's two writes on its account's window, reserve and apply. Units are as the engine (Dynoxide in
memory) reports them, by DynamoDB's rules; the ceiling is what 1,000 units a second allow, which is what DynamoDB gives
one item; "if longer" is the time a request lasts from which on that many are under way before the ceiling is reached.
The rate measured is this machine's, with `CLIENTS` at once, and says nothing about DynamoDB.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from jatevo_testing.tables import fresh_tables

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.domain import ids
from jatevo.domain.windows import Hold, Limits, Window, WindowKey, opened
from jatevo_local.engine import AWS_ENVIRONMENT, start_dynoxide
from jatevo_local.ports import free_port
from jatevo_local.processes import Children

UNDER_WAY = (1, 16, 64, 256, 1024)
CLIENTS = 8
PAIRS = 40
UNITS_A_SECOND = 1000
KEY = WindowKey("acct_aaaaaaaaaaaa", "2030-01-01")
HOLD = Hold(123_456_789, 1_900_000_000, "bbbbbbbbbbbb")


class Bench:
    """One window, and the units that writes to it cost."""

    def __init__(self, client: DynamoClient, windows: DynamoWindows) -> None:
        self._windows = windows
        self._made = 0
        self._units: list[float] = []
        for sdk in (client._once, client._retried):  # noqa: SLF001
            sdk.meta.events.register("provide-client-params.dynamodb", self._ask)
            sdk.meta.events.register("after-call.dynamodb", self._count)

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def _count(self, parsed: dict[str, Any], **_: Any) -> None:
        self._units.append(parsed["ConsumedCapacity"]["CapacityUnits"])

    async def hold(self) -> str:
        self._made += 1
        name = ids.reservation_id(1_890_000_000_000, self._made)
        assert isinstance(await self._windows.reserve(KEY, name, HOLD), Window)
        return name

    async def pair(self) -> None:
        name = await self.hold()
        await self._windows.settle(KEY, name, HOLD, charge_nano_usd=1, give_request_back=False, exposed_nano_usd=0)

    async def measured(self) -> tuple[float, float]:
        """Return the units of a pair, and pairs a second of several clients."""
        self._units.clear()
        await self.pair()
        units = sum(self._units)

        async def client() -> None:
            for _ in range(PAIRS):
                await self.pair()

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return units, CLIENTS * PAIRS / (time.perf_counter() - began)


async def measure(endpoint_url: str) -> None:
    with fresh_tables(endpoint_url) as names:
        client = DynamoClient(ClientOptions(region="us-east-1", endpoint_url=endpoint_url))
        windows = DynamoWindows(client, names)
        limits = Limits(requests=10**6, budget_nano_usd=10**15, concurrency=10**5)
        await windows.open(opened(KEY, limits, 1), None)
        bench = Bench(client, windows)
        print(f"{'under way':>10}{'units a pair':>14}{'ceiling, 1/s':>14}{'if longer, s':>14}{'measured, 1/s':>15}")
        held = 0
        for wanted in UNDER_WAY:
            while held < wanted - 1:
                await bench.hold()
                held += 1
            units, rate = await bench.measured()
            ceiling = UNITS_A_SECOND / units
            print(f"{wanted:10}{units:14.0f}{ceiling:14.1f}{wanted / ceiling:14.2f}{rate:15.0f}")
        client.close()


def main() -> None:
    os.environ.update(AWS_ENVIRONMENT)
    with tempfile.TemporaryDirectory() as folder, Children(Path(folder), say=lambda _: None) as children:
        asyncio.run(measure(start_dynoxide(children, free_port()).endpoint_url))


if __name__ == "__main__":
    main()

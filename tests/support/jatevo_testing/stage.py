"""One process over a real engine, at a time of its own, and one customer: the small stage of the exact tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from jatevo.adapters.dynamodb.client import ClientOptions, DynamoClient
from jatevo.adapters.dynamodb.ledger import DynamoLedger
from jatevo.adapters.dynamodb.windows import DynamoWindows
from jatevo.application.reservations import Policy, Reservation, Wanted
from jatevo.domain.accounts import Account, ApiKey, Caller, account_window
from jatevo.domain.calendar import utc_day
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.projection import Ask, InputSize
from jatevo.domain.refusals import Refusal
from jatevo.domain.windows import Limits, Window, WindowKey
from jatevo_local.engine import REGION
from jatevo_testing.clocks import ManualClock
from jatevo_testing.simulation.processes import Engine, Process, SkewedClock, process
from jatevo_testing.simulation.strands import MODEL
from jatevo_testing.tables import put_account, put_key

POLICY = Policy(upstream_deadline_s=60, grace_s=30, margin_bps=0, exposure_cap_bps=2500)
AMOUNT = 100
"""What each request here is projected to cost: ten tokens in, ninety out."""
BUDGET = 12 * AMOUNT
_NAMES = count()
CAPS = Limits(requests=50)


@dataclass(frozen=True)
class Place:
    """See the module."""

    engine: Engine
    clock: ManualClock
    process: Process
    windows: DynamoWindows
    ledger: DynamoLedger
    caller: Caller

    @property
    def key(self) -> WindowKey:
        return account_window(self.caller.account.id, utc_day(self.clock.now_ms() // 1000))

    async def asked(self, caller: Caller | None = None) -> Reservation | Refusal:
        ask = Ask(InputSize(), output_cap=90, exact_input_tokens=10)
        return await self.process.reservations.reserve(Wanted(caller or self.caller, MODEL, 1, ask))

    async def reserved(self, caller: Caller | None = None) -> Reservation:
        result = await self.asked(caller)
        assert isinstance(result, Reservation)
        assert result.terms.reserved_nano_usd == AMOUNT
        return result

    async def window(self, key: WindowKey | None = None) -> Window:
        window = await self.windows.read(key or self.key)
        assert window is not None
        return window

    async def book(self) -> dict[str, LedgerEntry]:
        entries = await self.ledger.entries(self.caller.account.id, self.key.period)
        return {entry.reservation_id: entry for entry in entries}


@asynccontextmanager
async def on_stage(engine: Engine, *, caps: Limits | None) -> AsyncIterator[Place]:
    """Set up a process and a new customer, whose key has these caps."""
    name = next(_NAMES)
    account = Account(f"acct_{name}", "test", Limits(100, BUDGET, 64))
    key = ApiKey(f"key_{name:010}", f"digest {name}", account.id, "", "", caps=caps)
    put_account(engine.calls, engine.names, account)
    put_key(engine.calls, engine.names, key)
    clock, client = ManualClock(), DynamoClient(ClientOptions(REGION, engine.endpoint_url))
    made = process("p", engine, client, SkewedClock(clock, 0), POLICY, name)
    windows, ledger = DynamoWindows(client, engine.names), DynamoLedger(client, engine.names)
    yield Place(engine, clock, made, windows, ledger, Caller(key, account))
    client.close()

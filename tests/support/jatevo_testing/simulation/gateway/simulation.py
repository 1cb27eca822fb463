"""
A simulation of the whole gateway: a seed decides who there is, what fails, and every step.

It ends at rest: faults stop, everything that was begun ends, the sweeper runs. Then nothing may be open, ledger and
windows must agree, and everybody must be served again, or told truly why not.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from jatevo.adapters.dynamodb.schema import CATALOGUE_KIND
from jatevo.application.ports import StoreError
from jatevo.domain.accounts import LimitsFrom
from jatevo_testing.clocks import ManualClock
from jatevo_testing.engine_model import MemoryEngine
from jatevo_testing.engine_model.tables import Table
from jatevo_testing.simulation.chance import Chance, Script
from jatevo_testing.simulation.gateway.clients import Client
from jatevo_testing.simulation.gateway.crowd import Customer, customers, scale_of
from jatevo_testing.simulation.gateway.everyone import Everyone
from jatevo_testing.simulation.gateway.goods import PLAYGROUND_ID, document
from jatevo_testing.simulation.gateway.holders import Chain, Holders
from jatevo_testing.simulation.gateway.lambdas import SETTINGS, Lambda, Surroundings, over, without_threads
from jatevo_testing.simulation.gateway.market import TokenMarket
from jatevo_testing.simulation.gateway.money import GatewayAuditor
from jatevo_testing.simulation.gateway.operators import Operators
from jatevo_testing.simulation.gateway.pools import Pools
from jatevo_testing.simulation.gateway.questions import CHAT, PLAYGROUND, Question, Questions
from jatevo_testing.simulation.gateway.shelf import Shelf
from jatevo_testing.simulation.gateway.token_prices import FIRST_PICO_USD, first_price
from jatevo_testing.simulation.gateway.witness import Witness
from jatevo_testing.simulation.mishaps import lose_sweep_at
from jatevo_testing.simulation.processes import SkewedClock, in_memory, registry_on, skews
from jatevo_testing.simulation.rest import Rest
from jatevo_testing.simulation.scheduler import Options, Scheduler
from jatevo_testing.simulation.simulation import NEARLY_MIDNIGHT_MS, NOON_MS
from jatevo_testing.simulation.wire import CURRENT, WiredClient

NEARLY_NEXT_MONTH_MS = NEARLY_MIDNIGHT_MS + 12 * 86_400_000
_DAY_MS = 86_400_000
_STALE_MS = 1000
"""How old a read that does not ask for consistency may be."""
_AT_REST_STEPS = 20_000
_REGULARS = 20
_ASKED_AT_REST = 100
"""So many customers of a crowd, at least, must be served again at its end."""


class GatewaySimulation(Scheduler):
    """See the module. `steps`: how many are taken before it comes to rest."""

    def __init__(self, seed: int, *, steps: int, script: Script | None = None) -> None:
        chance = Chance(seed, script)
        starts_ms = chance.choice((NOON_MS, NEARLY_MIDNIGHT_MS, NEARLY_NEXT_MONTH_MS))
        calm = chance.happens(0.3)
        weather = 0.0 if calm else chance.choice((0.0, 0.01, 0.05, 0.2))
        self._scale = scale_of(seed, chance, steps)
        most_steps = self._scale.steps + _AT_REST_STEPS * (2 if self._scale.crowded else 1)
        super().__init__(chance, ManualClock(starts_ms), weather=weather, most_steps=most_steps, calm=calm)
        self._violence = 0.0 if calm else chance.choice((0.0, 0.02, 0.1))
        self._lull = False
        self._trouble = chance.choice((0.0, 0.2, 0.5))
        self._places = chance.happens(0.3)
        self.begun = Counter[str]()
        self.engine = in_memory()
        self._model: MemoryEngine = self.engine.calls
        for table in self._lagging:
            table.lags = chance.happens(0.5)
        self.everyone = Everyone(self._model, self.engine.names, self.clock.now_ms)
        now_ms = self.clock.now_ms
        self.auditor = GatewayAuditor(self.engine.names, self.everyone, now_ms, grace_s=SETTINGS.reservation_grace_s)
        self.auditor.calm = calm
        self.pools = Pools(chance, lambda call: self.wire.audited(lambda: self.auditor.called(call)))
        self.auditor.pools = self.pools
        self.pools.trouble = self._trouble
        self._put_catalogue()
        self._market = self.everyone.token_prices.market = TokenMarket(chance, FIRST_PICO_USD)
        price = first_price(self.clock.at_ms, of_market=chance.happens(0.5))
        self._model.put_item(TableName=self.engine.names.prices, Item=price)
        self.customers = customers(self.engine, self.everyone, chance, self._scale.accounts)
        self._by_id = {customer.account.id: customer for customer in self.customers}
        # Only from now on: what is registered already is known everywhere.
        self._model.now_ms = self.clock.now_ms
        self._model.is_stale = lambda age_ms: age_ms < _STALE_MS and self.working and self.chance.happens(0.2)
        self._meet()
        self._resting = False
        many = self._scale.serving_many
        self.processes = [self._started(one_at_a_time=place >= many) for place in range(many + 4)]

    def _meet(self) -> None:
        """Bring those together who act, and who judge."""
        chance = self.chance
        self._client = WiredClient(self.wire, self.engine.calls, self.engine.names.windows, self.auditor)
        self.chain = Chain(chance, self.clock)
        self.everyone.peak_units = self.chain.peak_units
        self._around = Surroundings(self._client, self.pools, self.chain, self._market.sources)
        held = [one.account.id for one in self.customers if one.account.limits_from is LimitsFrom.HOLDINGS]
        self.auditor.of_the_bag = frozenset(held)
        self._holders = Holders(self.engine, self._client, chance, self.chain, held) if held else None
        self._operators = Operators(chance, self.everyone, self.auditor, places=self._places)
        self._shelf = Shelf()
        self._questions = Questions(chance)
        self._witness = Witness(
            self.auditor,
            self.everyone,
            self._shelf,
            store_fails=lambda: not self.calm,
            upstreams_fail=self._upstreams_may_fail,
        )

    def _upstreams_may_fail(self) -> bool:
        """Whether upstreams may be at fault: troubled, drained by an operator, or asked after time has jumped."""
        return not self._resting and (not self.calm or self._trouble > 0 or self.begun["change"] > 0)

    def run(self) -> Counter[str]:
        """Run to rest and return what was reached. Raises AssertionError with the seed and the last steps."""
        with self._wired():
            self.play()
        return self.met

    @property
    def met(self) -> Counter[str]:
        """What the history came across so far."""
        return self.auditor.reached + self.pools.met + self.faults + self.begun

    @contextmanager
    def _wired(self) -> Iterator[None]:
        with over(self.engine), registry_on(self.wire, lambda: None), without_threads():
            yield

    @property
    def working(self) -> bool:
        return self.steps < self._scale.steps and not self.chance.exhausted

    def new_work(self) -> Options:
        if self._lull:
            return [] if self.tasks else [(self._night, 1)]
        return [*self._requests(), *self._changes(), *self._trouble_makers()]

    def _requests(self) -> Options:
        clients = self.busy["client"]
        new: Options = [(self._flood, 0.3)] if clients == 0 else []
        if self._scale.crowded and clients < self._scale.clients // 2:
            new.append((self._rush, 0.2))
        if clients < self._scale.clients:
            room = 1 + 8 * (1 - clients / self._scale.clients)
            new += [(self._ask, room), (self._visit, room / 9)]
            if self._shelf.known:
                new.append((self._go_back, room / 2))
        return new

    def _changes(self) -> Options:
        new: Options = []
        if self.busy["change"] < 2:
            new.append((self._change, 0.05))
            opening = self._opening()
            if opening:
                # While windows are being opened, changes race with that.
                new.append((lambda: self._change_of(self.chance.choice(opening)), 0.5))
        if self._holders is not None and self.busy["holdings"] < 2:
            new += [(self._hold, 0.4), (self._transfer, 0.2), (self._market.move, 0.05)]
        if self.busy["sweep"] < 2:
            new.append((self._sweep, 0.1))
        return new

    def _trouble_makers(self) -> Options:
        new: Options = [(self._turn, 0.01), (self._rest_a_while, 0.008)]
        if self._violence:
            new += [(self._kill, self._violence), (self._lose_sweep_at, 0.005)]
        if self._behind:
            new.append((self._catch_up, 0.5))
        if not self.calm:
            new.append((lambda: self.pass_time(self.chance.choice((1, 10, 95))), 0.01))
        return new

    async def at_rest(self) -> None:
        self._resting, self.calm, self.pools.trouble = True, True, 0.0
        self._catch_up_wholly()
        for process in self.processes:
            await process.app.drain(None)
        await self._settled()
        if self._holders is not None:
            await self._holders.check_followed(self._started(one_at_a_time=True), self.everyone.token_prices)
        some = self.customers[:: max(1, len(self.customers) // _ASKED_AT_REST)]
        last = [Question(customer.account.id, customer.secrets[0], CHAT, _HELLO, shown=_SAID) for customer in some]
        for asked in (*last, Question(PLAYGROUND_ID, None, PLAYGROUND, _HELLO, shown=_SAID)):
            self.begun["requests"] += 1
            await self._client_of(asked, self._started(one_at_a_time=True))
        await self._settled()

    async def _settled(self) -> None:
        self.clock.advance(300)
        sweeper = self._started(one_at_a_time=True).sweeper
        await Rest(self.engine, self.auditor, sweeper).check()

    # What may happen.

    def _ask(self) -> None:
        customer, secret = self._somebody()
        self._begin(self._questions.of(customer, secret))

    def _visit(self) -> None:
        self._begin(self._questions.of_visitor())

    def _go_back(self) -> None:
        """Somebody comes back to something stored: mostly whose it is."""
        kept = self.chance.choice(self._shelf.known)
        customer = self._customer() if self.chance.happens(0.2) else self._by_id[kept.account_id]
        self._begin(self._questions.about(kept, customer, self.chance.choice(customer.secrets)))

    def _flood(self) -> None:
        customer = self._customer()
        for _ in range(self._scale.clients):
            self._begin(self._questions.of(customer, customer.secrets[0]))

    def _rush(self) -> None:
        """Very many come at once."""
        for _ in range(self._scale.clients // 2):
            self._ask()

    def _somebody(self) -> tuple[Customer, str]:
        """Return a customer, and one of its keys."""
        customer = self._customer()
        return customer, self.chance.choice(customer.secrets)

    def _customer(self) -> Customer:
        """Return some customer: in a crowd every other time one of the regulars, so that they meet themselves."""
        regular = self._scale.crowded and self.chance.happens(0.5)
        return self.chance.choice(self.customers[:_REGULARS] if regular else self.customers)

    def _begin(self, asked: Question) -> None:
        free = [process for process in self.processes if process.free]
        process = self._librarian if asked.body is None else self.chance.choice(free)
        self.begun["requests"] += 1
        process.serving += 1
        self.start(f"client {self.begun['requests']}", process.name, self._client_of(asked, process))

    async def _client_of(self, asked: Question, process: Lambda) -> None:
        handler = CURRENT.get()
        client = Client(asked, lambda: self._witness.told(asked, handler))
        asked.asked_at_ms, asked.clock_ms = self.clock.at_ms, process.gateway.clock.now_ms()
        asked.gone = asked.about is not None and not asked.about.stored
        handler.begins_anew()
        handler.request = asked
        self.auditor.refusals.pop(handler.name, None)
        try:
            answered = await client.ask(process)
        finally:
            process.serving -= 1
        if self.wire.finding is not None:
            raise self.wire.finding
        self._witness.judge(asked, answered, handler)
        self._witness.forget(handler)
        self.auditor.refusals.pop(handler.name, None)

    def _opening(self) -> list[Customer]:
        """Return whose windows are being opened at this moment."""
        items = [call.puts or {} for call in self.wire.waiting if call.operation == "transact_write_items"]
        owners = {item["owner"]["S"].partition("/")[0] for item in items if "owner" in item}
        return [self._by_id[owner] for owner in sorted(owners) if owner in self._by_id]

    def _change(self) -> None:
        self._change_of(self._customer())

    def _change_of(self, customer: Customer) -> None:
        process = self.chance.choice(self.processes)
        name, work = self._operators.change(process, customer)
        self.begun["change"] += 1
        self.say(f"an operator: {name}")
        self.start(f"change {name}", process.name, work)

    def _hold(self) -> None:
        assert self._holders is not None, "somebody holds something"
        process = self.chance.choice(self.processes)
        name, work = self._holders.change(process)
        self.begun[f"holdings: {name}"] += 1
        self.start(f"holdings {name}", process.name, work)

    def _transfer(self) -> None:
        self.chain.transfer()
        self.say("somebody transfers tokens")

    def _sweep(self) -> None:
        process = self.chance.choice(self.processes)
        full = self.chance.happens(0.1)

        async def sweep() -> None:
            try:
                await process.sweeper.run(full=full)
            except StoreError:
                self.auditor.reached["sweep failed"] += 1

        self.start("sweep", process.name, sweep())

    def _kill(self) -> None:
        """A process dies with all that it has under way; another takes its place."""
        place = self.chance.below(len(self.processes))
        victim = self.processes[place]
        self.say(f"{victim.name} is killed")
        self.begun["killed"] += 1
        for task in sorted(asyncio.all_tasks(self.loop), key=hash):
            handler = task.get_context().get(CURRENT)
            if handler is not None and handler.process == victim.name:
                handler.dead = True
                self.wire.drop(handler, sent=lambda: self.chance.happens(0.5))
                task.cancel()
        self.processes[place] = self._started(one_at_a_time=victim.one_at_a_time)

    def _lose_sweep_at(self) -> None:
        self.say(lose_sweep_at(self.engine, self.auditor, self.chance))

    def _turn(self) -> None:
        """Upstreams get better, or worse."""
        self._trouble = max(self._trouble, self.pools.trouble)
        self.pools.trouble = self.chance.choice((0.0, 0.1, 0.4, 1.0)) if self._trouble else 0.0

    def _rest_a_while(self) -> None:
        self._lull = True

    def _night(self) -> None:
        """Nobody asks until shortly before the next midnight."""
        self._lull = False
        self.begun["nights"] += 1
        until_midnight_ms = _DAY_MS - self.clock.at_ms % _DAY_MS
        self.clock.at_ms += max(20_000, until_midnight_ms - 20_000)
        self.say("a night passes")

    # The engine.

    @cached_property
    def _lagging(self) -> list[Table]:
        """The tables whose indexes may lag."""
        return [self._model.tables[name] for name in (self.engine.names.windows, self.engine.names.wallets)]

    @property
    def _behind(self) -> bool:
        return any(table.behind for table in self._lagging)

    def _catch_up(self) -> None:
        for table in self._lagging:
            table.catch_up(self.chance.within(1, 50))

    def _catch_up_wholly(self) -> None:
        for table in self._lagging:
            table.lags = False
            table.catch_up()

    def _put_catalogue(self) -> None:
        said = json.dumps(document(self.chance, places=self._places))
        item = {"kind": {"S": CATALOGUE_KIND}, "version": {"N": "1"}, "document": {"S": said}}
        more = {"applied_at": {"N": "1"}, "applied_by": {"S": "operator"}}
        self._model.put_item(TableName=self.engine.names.catalogue, Item=item | more)

    @cached_property
    def _librarian(self) -> Lambda:
        """The process that shows what is stored: another function than those that ask models."""
        return self._started(one_at_a_time=False)

    def _started(self, *, one_at_a_time: bool) -> Lambda:
        self.begun["processes"] += 1
        skew_ms = 0 if self._resting else self.chance.within(-900, 900) if self.calm else skews(self.chance)
        clock = SkewedClock(self.clock, skew_ms)
        name = f"p{self.begun['processes']}"
        return self._around.started(name, clock, self.chance.bits(32), one_at_a_time=one_at_a_time)


_SAID = "hello"
_HELLO = {"model": "m", "messages": [{"role": "user", "content": _SAID}], "max_tokens": 5}

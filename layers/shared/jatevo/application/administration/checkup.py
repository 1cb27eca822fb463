"""
Checks of a gateway that runs: do the schedules run, do the upstreams answer, are the books whole?

Each check says in one sentence what it found, and what to do where that is not well. None writes or repairs anything.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from jatevo.application.administration.prices import PriceAdministration
from jatevo.application.administration.routes import RouteHealth, Routes
from jatevo.application.administration.service import ServiceSwitch
from jatevo.application.day_audits import DayAudits
from jatevo.application.holdings import HoldingsStore
from jatevo.application.ports import Clock, StoreError, WindowStore
from jatevo.domain.breaker import State
from jatevo.domain.calendar import DAY_S, utc_day
from jatevo.domain.catalogue import Pool
from jatevo.domain.market import MarketState

_SWEEP_LATE_S = 300
_PRICE_LATE_S = 900
_SNAPSHOT_LATE_S = 26 * 3600
_AUDIT_LATE_S = 3 * 3600
"""After the end of a day."""


class Standing(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found; `remedy`: what to do, empty when all is well."""

    name: str
    standing: Standing
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Features:
    """What this deployment is set up to do: only that is checked."""

    prices: bool
    holdings: bool
    sign_in: bool


class Probe(Protocol):
    """Asks whether somebody answers at a pool's address."""

    async def answers(self, pool: Pool) -> str | None:
        """Return None when any HTTP answer came, else in a few words why none did."""
        ...


class Checkup:
    """Runs all checks of one gateway, side by side."""

    def __init__(
        self,
        windows: WindowStore,
        routes: Routes,
        prices: PriceAdministration,
        holdings: HoldingsStore,
        audits: DayAudits,
        service: ServiceSwitch,
        probe: Probe,
        clock: Clock,
        features: Features,
    ) -> None:
        self._windows = windows
        self._routes = routes
        self._prices = prices
        self._holdings = holdings
        self._audits = audits
        self._service = service
        self._probe = probe
        self._clock = clock
        self._features = features

    async def run(self) -> Sequence[Check]:
        """Return what every check found, in a fixed order."""
        checks: dict[str, Callable[[], Awaitable[Sequence[Check]]]] = {
            "service": self._taking_requests,
            "sweeper": self._swept,
            "catalogue": self._sold,
            "books": self._audited,
        }
        if self._features.prices:
            checks["price"] = self._priced
        if self._features.holdings:
            checks["snapshot"] = self._counted
        found = await asyncio.gather(*(self._guarded(name, check) for name, check in checks.items()))
        return [*self._configured(), *(check for some in found for check in some)]

    async def _guarded(self, name: str, check: Callable[[], Awaitable[Sequence[Check]]]) -> Sequence[Check]:
        try:
            return await check()
        except StoreError as error:
            remedy = "See whether the table exists and the admin function's role allows it."
            return [Check(name, Standing.FAIL, f"a table cannot be read: {error}", remedy)]

    def _configured(self) -> Sequence[Check]:
        found = []
        if not self._features.sign_in:
            found.append(Check("sign-in", Standing.WARN, "nobody can sign in", "Set JATEVO_PUBLIC_URL."))
        if not self._features.holdings:
            found.append(Check("holdings", Standing.OK, "no token is read: limits are set by operators"))
        return found

    async def _taking_requests(self) -> Sequence[Check]:
        spending = await self._service.show()
        if spending.pause is None:
            return [Check("service", Standing.OK, "requests are taken")]
        why = f"no requests are taken: {spending.pause.reason}"
        return [Check("service", Standing.FAIL, why, "jatevo admin service, then jatevo admin resume --reason …")]

    async def _swept(self) -> Sequence[Check]:
        late = await self._windows.due(self._now() - _SWEEP_LATE_S, 1)
        if not late:
            return [Check("sweeper", Standing.OK, "nothing that expired is left")]
        found = f"reservations expired more than {_SWEEP_LATE_S // 60} minutes ago are still open"
        return [Check("sweeper", Standing.FAIL, found, "See its schedule and log; jatevo admin sweep ends them now.")]

    async def _sold(self) -> Sequence[Check]:
        """Every model has a route that would be asked, and every pool answers."""
        routes = await self._routes.all()
        if not routes:
            return [Check("catalogue", Standing.FAIL, "no model is sold", "jatevo admin catalog apply FILE")]
        pools = {route.pool.id: route.pool for route in routes}
        silent = await asyncio.gather(*map(self._probe.answers, pools.values()))
        of_pools = [_of_pool(pool, why) for pool, why in zip(pools, silent, strict=True)]
        return [*_of_models(routes), *of_pools]

    async def _priced(self) -> Sequence[Check]:
        view = await self._prices.show()
        age_s = self._now() - view.oracle.at_unix_s
        if age_s > _PRICE_LATE_S:
            found = (
                f"the price was last decided {age_s // 60} minutes ago" if view.oracle.at_ms else "no price was found"
            )
            return [Check("price", Standing.FAIL, found, "See the price oracle's schedule and log.")]
        state = view.quote.state
        if state in {MarketState.DEGRADED, MarketState.STALE}:
            remedy = "jatevo admin price show says what each source says; jatevo admin price set bridges an outage."
            return [Check("price", Standing.FAIL, f"the price is {state}", remedy)]
        standing = Standing.OK if state is MarketState.OK else Standing.WARN
        return [Check("price", standing, f"the price is {state}, decided {age_s} seconds ago")]

    async def _counted(self) -> Sequence[Check]:
        latest = await self._holdings.latest()
        remedy = "jatevo admin snapshot now; see the snapshot's log for what each node answered."
        if latest is None:
            return [Check("snapshot", Standing.FAIL, "no snapshot of holders was ever taken", remedy)]
        age_s = self._now() - latest.taken_at_unix_s
        standing = Standing.FAIL if age_s > _SNAPSHOT_LATE_S else Standing.OK
        found = f"the last snapshot is {age_s // 3600} hours old"
        return [Check("snapshot", standing, found, remedy if standing is Standing.FAIL else "")]

    async def _audited(self) -> Sequence[Check]:
        day = utc_day(self._now() - DAY_S - _AUDIT_LATE_S)
        report = await self._audits.report(day)
        if report is None or not report.complete:
            remedy = "See the reconciliation's schedule and log; jatevo admin audit --day DAY does it by hand."
            return [Check("books", Standing.WARN, f"{day} has not been audited", remedy)]
        if report.difference_count:
            remedy = f"jatevo admin audit --day {day}, then jatevo admin correct"
            return [Check("books", Standing.FAIL, f"{report.difference_count} differences on {day}", remedy)]
        return [Check("books", Standing.OK, f"{day} was audited: {report.windows} windows agree with the ledger")]

    def _now(self) -> int:
        return self._clock.now_ms() // 1000


def _of_models(routes: Sequence[RouteHealth]) -> list[Check]:
    found = []
    for model in sorted({route.model.id for route in routes}):
        asked = [route for route in routes if route.model.id == model and _would_be_asked(route)]
        if not asked:
            remedy = "jatevo admin routes; jatevo admin pool undrain POOL"
            found.append(Check(f"model {model}", Standing.FAIL, "no route of it would be asked", remedy))
    return found or [Check("models", Standing.OK, "every model has a route")]


def _would_be_asked(route: RouteHealth) -> bool:
    return route.asks is not State.OPEN and route.shared.drained_by is None


def _of_pool(pool_id: str, silent: str | None) -> Check:
    if silent is None:
        return Check(f"pool {pool_id}", Standing.OK, "it answers")
    remedy = "See the upstream; jatevo admin pool drain keeps requests from it meanwhile."
    return Check(f"pool {pool_id}", Standing.FAIL, silent, remedy)

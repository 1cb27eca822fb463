"""
Lanes of the operator's catalogue file.

Guarantees: a lane names only pools and models of the same file, and the guaranteed shares of a pool never exceed what
the pool takes at once.
"""

from collections.abc import Mapping

from jatevo.domain.catalogue import Model, Pool
from jatevo.domain.documents import ID, ID_MEANING, Table
from jatevo.domain.lanes import SHARED, Lane
from jatevo.domain.money import MAX_NANO_USD, MoneyError, format_usd, parse_usd
from jatevo.domain.windows import UNLIMITED_BUDGET_NANO_USD, UNLIMITED_REQUESTS, Limits

MAX_LANES = 100
MAX_SHARE = 1000
MAX_LANE_REQUESTS = 10**9
MAX_MARGIN_BPS = 100_000

_LANE_FIELDS = frozenset(
    {
        "id",
        "pools",
        "models",
        "margin_bps",
        "requests_per_day",
        "budget_usd_per_day",
        "concurrency",
        "guaranteed",
    }
)


def lanes_from(root: Table, pools: Mapping[str, Pool], models: Mapping[str, Model]) -> dict[str, Lane]:
    """Return the lanes of a document by id, noting what is wrong with them."""
    lanes: dict[str, Lane] = {}
    for table in root.tables("lanes", _LANE_FIELDS, MAX_LANES):
        lane = _lane(table, pools, models)
        if lane.id in lanes:
            table.problem("id", f'"{lane.id}" is the id of another lane')
        elif lane.id:
            lanes[lane.id] = lane
    for pool in pools.values():
        shares = sum(lane.guaranteed.get(pool.id, 0) for lane in lanes.values())
        if pool.concurrency is None and shares:
            root.problem("lanes", f'"{pool.id}" has no concurrency to guarantee shares of')
        elif pool.concurrency is not None and shares > pool.concurrency:
            root.problem("lanes", f'"{pool.id}" takes {pool.concurrency} requests at once; {shares} are guaranteed')
    return lanes


def _lane(table: Table, pools: Mapping[str, Pool], models: Mapping[str, Model]) -> Lane:
    lane_id = table.text("id", ID, ID_MEANING)
    named = _named(table, "pools", pools)
    shares = _shares(table, named, pools)
    if shares and lane_id == SHARED:
        table.problem("guaranteed", "the shared lane has what is left")
    return Lane(
        id=lane_id,
        pools=named,
        models=_named(table, "models", models),
        margin_bps=table.integer("margin_bps", 0, MAX_MARGIN_BPS) if table.has("margin_bps") else None,
        limits=_limits(table),
        guaranteed=shares,
    )


def _named(table: Table, name: str, known: Mapping[str, object]) -> frozenset[str] | None:
    if not table.has(name):
        return None
    given = table.texts(name, ID, "an id", len(known) or 1)
    for entry in given:
        if entry not in known:
            table.problem(name, f'there is none called "{entry}"')
    if table.values[name] == []:
        table.problem(name, "must not be empty: nothing could be asked in this lane")
    return frozenset(given)


def _shares(table: Table, named: frozenset[str] | None, pools: Mapping[str, Pool]) -> dict[str, int]:
    inner = table.table("guaranteed", frozenset(pools))
    for pool in inner.values:
        if named is not None and pool in pools and pool not in named:
            inner.problem(pool, "is not among the lane's pools")
        elif named is None and pool in pools and pools[pool].private:
            inner.problem(pool, "is private: name it among the lane's pools")
    return {pool: inner.integer(pool, 1, MAX_SHARE) for pool in inner.values}


def _limits(table: Table) -> Limits | None:
    if not any(map(table.has, ("requests_per_day", "budget_usd_per_day", "concurrency"))):
        return None
    budget = UNLIMITED_BUDGET_NANO_USD
    if table.has("budget_usd_per_day"):
        budget = table.parsed("budget_usd_per_day", _budget, UNLIMITED_BUDGET_NANO_USD)
    return Limits(
        requests=table.optional_integer("requests_per_day", 0, MAX_LANE_REQUESTS, UNLIMITED_REQUESTS),
        budget_nano_usd=budget,
        concurrency=table.optional_integer("concurrency", 1, MAX_SHARE, UNLIMITED_REQUESTS),
    )


def _budget(text: str) -> int:
    try:
        value = parse_usd(text)
    except MoneyError as error:
        raise ValueError(str(error)) from None
    if not 0 <= value <= MAX_NANO_USD:
        raise ValueError(f"must be from 0 to {format_usd(MAX_NANO_USD)}")
    return value

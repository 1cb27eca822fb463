"""Who is served: accounts with keys of all sorts, registered before anything begins."""

from dataclasses import dataclass
from typing import Any

from jatevo.domain import api_keys, ids
from jatevo.domain.accounts import Account, ApiKey, LimitsFrom
from jatevo.domain.windows import Limits
from jatevo_testing.simulation.chance import Chance
from jatevo_testing.simulation.gateway.everyone import Everyone
from jatevo_testing.simulation.processes import Engine
from jatevo_testing.tables import put_account, put_key

BUDGETS = (700, 6000, 40_000, 10**6)
"""Nano-dollars: a request may cost some three hundred."""
CROWDED_ONE_IN = 20
_MOST_HOLDERS = 4
"""Accounts that may live of what their wallets hold."""
QUOTAS = (2, 15, 80, 1000)
PLACES = (1, 3, 12, 64)


@dataclass(frozen=True)
class Customer:
    """An account, its keys, and their texts; keys may be added."""

    account: Account
    keys: list[ApiKey]
    secrets: list[str]


@dataclass(frozen=True)
class Scale:
    """How much there is of everything. `clients`: at once; `serving_many`: processes that serve many at a time."""

    accounts: int
    clients: int
    serving_many: int
    steps: int
    crowded: bool = False


def scale_of(seed: int, chance: Chance, steps: int) -> Scale:
    """
    Return the scale of a seed's history. One in twenty is a crowd: hundreds and thousands of accounts and clients.

    A crowd takes more steps, for as much to happen to each of it, and is met by processes that do not keep it waiting.
    """
    if seed % CROWDED_ONE_IN == CROWDED_ONE_IN - 1:
        return Scale(chance.choice((400, 1000, 2500)), chance.choice((100, 300, 1000)), 6, 4 * steps, crowded=True)
    return Scale(chance.choice((1, 4, 20)), chance.choice((3, 10, 40)), 2, steps)


def customers(engine: Engine, everyone: Everyone, chance: Chance, count: int) -> list[Customer]:
    """Register so many customers."""
    bag = chance.happens(0.6)
    return [_customer(engine, everyone, chance, place, bag=bag and place < _MOST_HOLDERS) for place in range(count)]


def _customer(engine: Engine, everyone: Everyone, chance: Chance, place: int, *, bag: bool) -> Customer:
    limits = Limits(chance.choice(QUOTAS), chance.choice(BUDGETS), chance.choice(PLACES))
    holds = bag and chance.happens(0.8)
    limits = Limits(0, 0, limits.concurrency) if holds else limits
    account = Account(
        f"acct_{place}x{chance.bits(40):x}",
        "test",
        limits,
        margin_bps=chance.choice((None, None, 0, 250)),
        limits_from=LimitsFrom.HOLDINGS if holds else LimitsFrom.OPERATOR,
        lanes=frozenset({"quick"}) if chance.happens(0.4) else frozenset(),
        **_more(chance),
    )
    put_account(engine.calls, engine.names, account)
    secrets = [api_keys.compose(chance.data(api_keys.SECRET_BYTES)) for _ in range(chance.within(1, 3))]
    keys = [_key(chance, account, secret) for secret in secrets]
    for key in keys:
        put_key(engine.calls, engine.names, key)
    everyone.add(account.id, [key.digest for key in keys])
    return Customer(account, keys, secrets)


def _more(chance: Chance) -> dict[str, Any]:
    """Return what else binds an account: a month, a minute, a price it resells at."""
    return {
        "monthly": Limits(chance.choice((10, 150, 10**12)), chance.choice((9000, 10**18)))
        if chance.happens(0.3)
        else None,
        "requests_per_minute": chance.choice((3, 12)) if chance.happens(0.2) else None,
        "reseller_margin_bps": chance.choice((0, 333, 5000)) if chance.happens(0.2) else None,
    }


def _key(chance: Chance, account: Account, secret: str) -> ApiKey:
    caps = Limits(chance.choice((2, 15, 200)), chance.choice(BUDGETS), chance.choice((1, 3, 64)))
    return ApiKey(
        id=ids.key_id(chance.bits(50)),
        digest=api_keys.digest(secret),
        account_id=account.id,
        name="test",
        prefix=api_keys.shown_prefix(secret),
        caps=caps if chance.happens(0.3) else None,
    )

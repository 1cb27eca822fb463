"""
Binding: which windows bind a request, in which order it holds in them, and what it holds where.

A pure function of the caller, the lane and the moment. The order is that of decision 31, the account's window last:
a request is accepted when its account took it. Only windows that are configured exist; a plain account has one.

What is held in one window says where else the reservation holds, as a `mark`: so whoever finds an entry left behind in
any window knows all others, without a read. A lane's slots are in no mark: they carry neither requests nor money, and
each slot is found by itself. The mark of what a lane's windows hold names the account, because their owner does not.

Money differs by window: the window of a key whose user pays a reseller holds the reseller's price, all others what
the account pays. `domain.ledger` says which of a decision's figures is charged where.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from jatevo.domain.accounts import Account, ApiKey, Caller, account_window, key_window, limits_on
from jatevo.domain.calendar import ALWAYS, utc_day, utc_minute, utc_month
from jatevo.domain.catalogue import Catalogue, Pool
from jatevo.domain.ids import reserved_at_ms
from jatevo.domain.lanes import SHARED, Lane
from jatevo.domain.windows import Hold, Limits, WindowKey


class Kind(StrEnum):
    """What a window bounds."""

    MINUTE = "minute"
    SLOTS = "slots"
    LANE = "lane"
    VISITOR = "visitor"
    KEY = "key"
    MONTH = "month"
    PREPAID = "prepaid"
    ACCOUNT = "account"


class Funding(StrEnum):
    """What a request is paid from: the budgets of the day and the month, or the balance paid in before."""

    BUDGET = "budget"
    PREPAID = "prepaid"


_COUNTING = frozenset({Kind.MINUTE, Kind.LANE, Kind.VISITOR, Kind.KEY, Kind.MONTH, Kind.ACCOUNT})
_PERIOD_BUDGETS = frozenset({Kind.MONTH, Kind.ACCOUNT})
_ALWAYS_WITH_MONEY = frozenset({Kind.LANE, Kind.VISITOR, Kind.KEY})
_LANE_OWNER = "lane"


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of `size` in a pool: in the share of it that is guaranteed to a lane, or in the rest (`SHARED`)."""

    lane: str
    pool: str
    size: int
    version: int
    """The catalogue's version that says so: a later one moves the window."""


@dataclass(frozen=True, slots=True)
class Binding:
    """
    One window that binds a request, and how it is opened.

    `limits` None: what it is to have cannot be told from the caller, as for a balance, or for a day whose holdings
    are not known. `money`: the request's price is held here.
    """

    kind: Kind
    key: WindowKey
    limits: Limits | None
    version: int
    money: bool

    @property
    def requests(self) -> int:
        return 1 if self.kind in _COUNTING else 0


def bindings(caller: Caller, lane: Lane, catalogue_version: int, unix_s: int, funding: Funding) -> tuple[Binding, ...]:
    """Return the windows that bind a request, in the order in which it holds in them. Slots are not among them."""
    account, key = caller.account, caller.key
    day = utc_day(unix_s)
    found: list[tuple[Kind, WindowKey, Limits | None, int]] = []
    if account.requests_per_minute is not None:
        minutely = Limits(requests=account.requests_per_minute)
        found.append((Kind.MINUTE, minute_window(account.id, utc_minute(unix_s)), minutely, account.version))
    if lane.limits is not None:
        found.append((Kind.LANE, lane_window(lane.id, day), lane.limits, catalogue_version))
    if caller.visitor is not None:
        visitor = caller.visitor
        found.append((Kind.VISITOR, visitor_window(account.id, visitor.id_on(day), day), visitor.limits, 1))
    if key.caps is not None:
        found.append((Kind.KEY, key_window(account.id, key.id, day), key.caps, key.caps_version))
    if account.monthly is not None:
        found.append((Kind.MONTH, month_window(account.id, utc_month(unix_s)), account.monthly, account.version))
    if funding is Funding.PREPAID:
        found.append((Kind.PREPAID, prepaid_window(account.id), None, 0))
    found.append((Kind.ACCOUNT, account_window(account.id, day), limits_on(account, day), account.version))
    return tuple(
        Binding(kind, window, limits, version, _carries_money(kind, funding)) for kind, window, limits, version in found
    )


def slot_in(catalogue: Catalogue, lane: Lane, pool: Pool) -> Slot | None:
    """Return the place that a lane's requests take in a pool: its own, or one of the rest. None: none is counted."""
    if not catalogue.divided(pool):
        return None
    own = lane.guaranteed.get(pool.id)
    return Slot(lane.id if own else SHARED, pool.id, own or catalogue.rest(pool) or 0, catalogue.version)


def slot_binding(slot: Slot) -> Binding:
    """Return the binding of a place in a pool."""
    window = WindowKey(f"{_LANE_OWNER}/{slot.lane}/{slot.pool}", ALWAYS)
    return Binding(Kind.SLOTS, window, Limits(concurrency=slot.size), slot.version, money=False)


def limits_of(kind: Kind, account: Account, key: ApiKey, period: str) -> tuple[Limits | None, int]:
    """
    Return the limits that a window has by what its account or key says now, and their version.

    A window that no longer binds has no bound: it stays open for what is held in it.
    """
    if kind is Kind.KEY:
        return key.caps or Limits(), key.caps_version
    if kind is Kind.MONTH:
        return account.monthly or Limits(), account.version
    if kind is Kind.MINUTE:
        minutely = account.requests_per_minute
        return Limits() if minutely is None else Limits(requests=minutely), account.version
    assert kind is Kind.ACCOUNT, "other windows have their limits from elsewhere"
    return limits_on(account, period), account.version


def minute_window(account_id: str, minute: str) -> WindowKey:
    """Return the key of an account's window of one minute."""
    return WindowKey(f"{account_id}/minute", minute)


def month_window(account_id: str, month: str) -> WindowKey:
    """Return the key of an account's window of one month."""
    return WindowKey(f"{account_id}/month", month)


def prepaid_window(account_id: str) -> WindowKey:
    """Return the key of the window of an account's balance."""
    return WindowKey(f"{account_id}/prepaid", ALWAYS)


def visitor_window(account_id: str, visitor_id: str, day: str) -> WindowKey:
    """Return the key of a visitor's window of one day."""
    return WindowKey(f"{account_id}/visitor/{visitor_id}", day)


def lane_window(lane_id: str, day: str) -> WindowKey:
    """Return the key of the window that bounds a lane as a whole on one day."""
    return WindowKey(f"{_LANE_OWNER}/{lane_id}", day)


def kind_of(key: WindowKey) -> Kind:
    """Return what a window bounds, from its key."""
    owner, _, rest = key.owner.partition("/")
    if owner == _LANE_OWNER:
        return Kind.SLOTS if "/" in rest else Kind.LANE
    if not rest:
        return Kind.ACCOUNT
    first = rest.partition("/")[0]
    return Kind.KEY if first.startswith("key_") else Kind(first)


def counts_requests(key: WindowKey) -> bool:
    """Return whether a request counts in a window, from its key."""
    return kind_of(key) in _COUNTING


# The mark: tokens behind one letter each, so that the entry of a plain key's request has none and stays small.

_LETTERS = {Kind.MINUTE: "u", Kind.KEY: "k", Kind.MONTH: "m", Kind.PREPAID: "p", Kind.LANE: "l", Kind.VISITOR: "v"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_RESALE, _ACCOUNT = "r", "a"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark, read. `resale_nano_usd` is what the reseller's price was at most; None: nothing is resold."""

    names: tuple[tuple[Kind, str], ...] = ()
    resale_nano_usd: int | None = None
    account_id: str | None = None

    def windows(self, reservation_id: str, account_id: str, key_ref: str) -> list[WindowKey]:
        """Return the windows a reservation holds in, its account's last; without slots."""
        unix_s = reserved_at_ms(reservation_id) // 1000
        day = utc_day(unix_s)
        made: dict[Kind, Callable[[str], WindowKey]] = {
            Kind.MINUTE: lambda _: minute_window(account_id, utc_minute(unix_s)),
            Kind.LANE: lambda name: lane_window(name, day),
            Kind.VISITOR: lambda name: visitor_window(account_id, name, day),
            Kind.KEY: lambda _: key_window(account_id, f"key_{key_ref}", day),
            Kind.MONTH: lambda _: month_window(account_id, utc_month(unix_s)),
            Kind.PREPAID: lambda _: prepaid_window(account_id),
        }
        return [*(made[kind](name) for kind, name in self.names), account_window(account_id, day)]


def mark_of(binding: Iterable[Binding], resale_nano_usd: int | None) -> str:
    """Return the mark of a reservation that holds in these windows."""
    tokens = [_token(one) for one in binding if one.kind is not Kind.ACCOUNT]
    if resale_nano_usd is not None:
        tokens.append(f"{_RESALE}{resale_nano_usd}")
    return ";".join(tokens)


def with_account(mark: str, account_id: str) -> str:
    """Return a mark for a window whose owner does not name the account."""
    return ";".join(filter(None, (mark, f"{_ACCOUNT}{account_id}")))


def read_mark(mark: str) -> Mark:
    """Return what a mark says."""
    tokens = [(token[0], token[1:]) for token in mark.split(";") if token]
    said = dict(tokens)
    return Mark(
        names=tuple((_KINDS[letter], rest) for letter, rest in tokens if letter in _KINDS),
        resale_nano_usd=int(said[_RESALE]) if _RESALE in said else None,
        account_id=said.get(_ACCOUNT),
    )


def hold_in(
    binding: Binding, account_id: str, *, charge: int, resale: int | None, expires: int, ref: str, mark: str
) -> Hold:
    """
    Return what a request holds in one window, of the most that its account and its reseller's customer may pay.
    """
    amount = 0
    if binding.money:
        amount = resale if resale is not None and binding.kind is Kind.KEY else charge
    if binding.kind in {Kind.SLOTS, Kind.LANE}:
        mark = with_account(mark, account_id)
    return Hold(amount, expires, ref, binding.requests, mark)


def _carries_money(kind: Kind, funding: Funding) -> bool:
    if kind in _PERIOD_BUDGETS:
        return funding is Funding.BUDGET
    return kind in _ALWAYS_WITH_MONEY or kind is Kind.PREPAID


def _token(one: Binding) -> str:
    owner = one.key.owner
    name = owner.rpartition("/")[2] if one.kind in {Kind.LANE, Kind.VISITOR} else ""
    return _LETTERS[one.kind] + name

"""A window's identities hold after every operation, and no bound is ever passed."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jatevo.domain.windows import (
    EVERY_KEY,
    Bound,
    Hold,
    Limits,
    Refused,
    Window,
    WindowKey,
    adjust,
    bound_against,
    opened,
    reserve,
    settle,
    unbalanced_nano_usd,
)

LIMITS = st.builds(
    Limits, requests=st.integers(0, 6), budget_nano_usd=st.integers(0, 60), concurrency=st.integers(0, 4)
)
KEY = WindowKey("acct_a", "2026-11-23")


@dataclass
class Books:
    """What the window should say, counted in another way: by remembering everything that happened."""

    limits: Limits
    accepted: int = 0
    charged: int = 0
    open: dict[str, Hold] = field(default_factory=dict)

    @property
    def budget_left(self) -> int:
        return self.limits.budget_nano_usd - self.charged - sum(hold.amount_nano_usd for hold in self.open.values())

    def refuses(self, hold: Hold) -> bool:
        """Whether any bound refuses what a hold takes. What it does not take cannot refuse it."""
        over = hold.requests and self.accepted + hold.requests > self.limits.requests
        short = hold.amount_nano_usd and self.budget_left < hold.amount_nano_usd
        return bool(over or short) or len(self.open) >= self.limits.concurrency


class WindowMachine(RuleBasedStateMachine):
    """Any sequence of operations on one window, beside books kept in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(Limits(4, 40, 3))
        self.window = opened(KEY, self.books.limits, 1)
        self.made = 0

    @rule(amount=st.integers(0, 30), expires_at=st.integers(1, 100), requests=st.integers(0, 1))
    def take(self, amount: int, expires_at: int, requests: int) -> None:
        hold = Hold(amount, expires_at, "key", requests)
        self.made += 1
        name = f"r{self.made}"
        result = reserve(self.window, name, hold)
        if isinstance(result, Refused):
            assert result.window == self.window
            assert self.books.refuses(hold), result.bound
            return
        assert not self.books.refuses(hold)
        self.window = result
        self.books.open[name] = hold
        self.books.accepted += hold.requests

    @precondition(lambda self: self.books.open)
    @rule(data=st.data(), give_back=st.booleans(), exposed=st.integers(0, 5))
    def end(self, data: st.DataObject, *, give_back: bool, exposed: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.books.open)))
        hold = self.books.open.pop(name)
        charge = data.draw(st.integers(0, hold.amount_nano_usd))
        after = settle(self.window, name, charge_nano_usd=charge, give_request_back=give_back, exposed_nano_usd=exposed)
        assert after is not None
        assert settle(after, name, charge_nano_usd=charge, give_request_back=give_back) is None
        assert after.exposed_nano_usd == self.window.exposed_nano_usd + exposed
        self.window = after
        self.books.charged += charge
        self.books.accepted -= hold.requests if give_back else 0

    @rule(limits=LIMITS)
    def change(self, limits: Limits) -> None:
        self.window = adjust(self.window, limits, self.window.limits_version + 1)
        self.books.limits = limits

    @invariant()
    def the_identities_hold(self) -> None:
        window, books = self.window, self.books
        assert unbalanced_nano_usd(window) == 0
        assert window.budget_left_nano_usd + window.settled_nano_usd + window.held_nano_usd == (
            window.limits.budget_nano_usd
        )
        assert window.requests_left + books.accepted == window.limits.requests
        assert (window.budget_left_nano_usd, window.settled_nano_usd) == (books.budget_left, books.charged)
        assert dict(window.open) == books.open

    @invariant()
    def an_open_window_is_scheduled_for_the_sweeper(self) -> None:
        assert self.window.sweep_at_unix_s is not None or not self.window.open


TestWindowMachine = WindowMachine.TestCase


def window(requests: int = 1, budget: int = 10, concurrency: int = 1, blocked: frozenset[str] = frozenset()) -> Window:
    return opened(KEY, Limits(requests, budget, concurrency), 1, blocked)


def taken(window: Window, hold: Hold) -> Window:
    after = reserve(window, "other", hold)
    assert isinstance(after, Window)
    return after


def test_the_bound_that_helps_most_is_named_when_several_refuse() -> None:
    hold = Hold(10, 1, "key")
    nothing_left = window(requests=0, budget=0, concurrency=0, blocked=frozenset({"key"}))
    assert bound_against(nothing_left, hold) is Bound.KEY_BLOCKED
    assert bound_against(window(blocked=frozenset({EVERY_KEY})), hold) is Bound.KEY_BLOCKED
    assert bound_against(window(blocked=frozenset({"another"})), hold) is None
    assert bound_against(window(requests=0, budget=0, concurrency=0), hold) is Bound.REQUESTS_EMPTY
    assert bound_against(window(budget=0, concurrency=0), hold) is Bound.BUDGET_EMPTY
    assert bound_against(window(budget=9, concurrency=0), hold) is Bound.BUDGET_TOO_SMALL
    assert bound_against(window(concurrency=0), hold) is Bound.CONCURRENCY
    assert bound_against(window(), hold) is None


def test_what_would_fit_once_others_settle_is_said_to_be_in_flight() -> None:
    busy = taken(window(requests=2, budget=10, concurrency=2), Hold(4, 1, "key"))
    assert bound_against(busy, Hold(10, 1, "key")) is Bound.BUDGET_IN_FLIGHT
    assert bound_against(busy, Hold(11, 1, "key")) is Bound.BUDGET_TOO_SMALL
    assert bound_against(busy, Hold(6, 1, "key")) is None

"""What a reseller adds: in each window the charge is within the hold, and cost and both margins add up to the price."""

from hypothesis import given
from hypothesis import strategies as st
from jatevo_testing.strategies import asks, margins_bps, models, whole_usages

from jatevo.application.fitting import Fitting
from jatevo.application.wanted import Policy, Wanted
from jatevo.domain import settlement
from jatevo.domain.accounts import Account, ApiKey, Caller
from jatevo.domain.binding import Funding, Kind, bindings, hold_in
from jatevo.domain.catalogue import Model
from jatevo.domain.ledger import LedgerEntry, Outcome, Reason
from jatevo.domain.money import charge_nano_usd
from jatevo.domain.projection import Ask, Projection
from jatevo.domain.settlement import Terms, Verdict
from jatevo.domain.tokens import TokenUsage, UsageSource
from jatevo.domain.windows import Hold, Limits, WindowKey

NOW = 1_795_003_200
DOLLARS = Limits(budget_nano_usd=10**17)


class Sale:
    """One resold request: what it holds in each window, on its account's terms and its reseller's."""

    def __init__(self, model: Model, ask: Ask, margin_bps: int, reseller_bps: int, funding: Funding) -> None:
        account = Account("acct_a", "a", DOLLARS, monthly=DOLLARS, requests_per_minute=9, prepaid=True)
        caller = Caller(
            ApiKey("key_k", "", account.id, "", "", caps=DOLLARS, reseller_margin_bps=reseller_bps), account
        )
        self.wanted = Wanted(caller, model, 1, ask)
        fitting = Fitting(Policy(margin_bps=margin_bps))
        self.projection: Projection = fitting.fitting(self.wanted, ())
        resale = fitting.resale_nano_usd(self.wanted, self.projection)
        assert resale is not None
        amount = self.projection.amount_nano_usd
        self.terms = Terms(model.price, margin_bps, amount, reseller_bps, resale)
        self.bindings = bindings(caller, self.wanted.lane, 1, NOW, funding)
        self.holds: dict[WindowKey, tuple[Kind, Hold]] = {
            one.key: (
                one.kind,
                hold_in(one, account.id, charge=amount, resale=resale, expires=NOW, ref="k", mark=""),
            )
            for one in self.bindings
        }

    def entry(self, verdict: Verdict) -> LedgerEntry:
        return LedgerEntry(
            account_id="acct_a",
            day="2026-11-23",
            reservation_id="r",
            outcome=verdict.outcome,
            reason=verdict.reason,
            reserved_nano_usd=self.terms.reserved_nano_usd,
            windows=tuple(self.holds),
            key_id="key_k",
            figures=verdict.figures,
            money_in=tuple(one.key for one in self.bindings if one.money),
        )


sales = st.builds(Sale, models(), asks, margins_bps, st.integers(0, 100_000), st.sampled_from(Funding))


def check(sale: Sale, verdict: Verdict) -> None:
    """Check what must hold of every resold request, however it ended."""
    entry, figures = sale.entry(verdict), verdict.figures
    for key, (kind, hold) in sale.holds.items():
        charged = entry.charged_in(key)
        assert 0 <= charged <= hold.amount_nano_usd
        if hold.amount_nano_usd == 0:
            assert charged == 0
        elif kind is Kind.KEY:
            assert charged == figures.resale_nano_usd
        else:
            assert charged == figures.charge_nano_usd
    assert figures.resale_nano_usd >= figures.charge_nano_usd
    assert figures.cost_nano_usd + figures.margin_nano_usd == figures.charge_nano_usd
    whole = figures.cost_nano_usd + figures.margin_nano_usd + figures.reseller_margin_nano_usd
    assert whole == figures.resale_nano_usd


@given(sales, whole_usages(text=10**10, output=10**10))
def test_whatever_an_upstream_claims_nobody_pays_above_what_was_held(sale: Sale, usage: TokenUsage) -> None:
    check(sale, settlement.charged_for_usage(sale.terms, Reason.ANSWERED, usage, UsageSource.REPORTED))


@given(sales, whole_usages())
def test_each_price_is_rounded_once_from_the_cost(sale: Sale, usage: TokenUsage) -> None:
    verdict = settlement.charged_for_usage(sale.terms, Reason.ANSWERED, usage, UsageSource.REPORTED)
    check(sale, verdict)
    exact = sale.terms.price.cost_femto_usd(usage)
    margin = sale.wanted.resale_margin_bps(sale.terms.margin_bps)
    assert margin is not None
    due = charge_nano_usd(exact, margin)
    assert verdict.figures.resale_nano_usd == min(due, sale.terms.resale_reserved_nano_usd)


@given(sales, whole_usages(), st.integers(-(10**12), 10**12))
def test_what_got_no_answer_and_what_was_left_behind_keep_the_same_rules(
    sale: Sale, estimate: TokenUsage, left: int
) -> None:
    terms = sale.terms
    check(sale, settlement.unanswered(terms, Reason.NO_ANSWER, estimate, exposure_left_nano_usd=left))
    abandoned = settlement.abandoned(
        terms.reserved_nano_usd,
        exposure_left_nano_usd=left,
        resale_reserved_nano_usd=terms.resale_reserved_nano_usd,
    )
    assert abandoned.outcome is Outcome.EXPIRED
    check(sale, abandoned)


@given(sales)
def test_money_is_paid_once_by_a_period_or_the_balance(sale: Sale) -> None:
    """A balance pays instead of the day and the month, never beside them; requests count in both cases."""
    with_money = {one.kind for one in sale.bindings if one.money}
    assert with_money in ({Kind.KEY, Kind.MONTH, Kind.ACCOUNT}, {Kind.KEY, Kind.PREPAID})
    assert {one.kind for one in sale.bindings if one.requests} >= {Kind.MINUTE, Kind.KEY, Kind.MONTH, Kind.ACCOUNT}

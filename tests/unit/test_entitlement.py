"""What holdings earn: rounding down, minimum, caps, and never more for more caution."""

from hypothesis import given
from hypothesis import strategies as st

from jatevo.domain.entitlement import EntitlementPolicy, Holding, Why, earned
from jatevo.domain.holdings import Token, token_from_text
from jatevo.domain.wallets import Namespace, Wallet

USD = 10**9
DOLLAR = 10**12
WALLET = Wallet(Namespace.EIP155, "0x" + "11" * 20)
AMOUNTS = st.integers(0, 10**30)
PRICES = st.integers(10**3, 10**18)


def holding(units: int, seen: int | None = None, *, decimals: int = 6, claimed: bool = True) -> Holding:
    return Holding(WALLET, decimals, units, seen, claimed=claimed)


def test_eleven_dollars_held_give_eleven_dollars_and_eleven_requests() -> None:
    got = earned(EntitlementPolicy(), [holding(11 * 10**6)], DOLLAR)
    assert (got.requests, got.budget_nano_usd, got.why) == (11, 11 * USD, frozenset())


def test_fractions_round_down_once_over_all_wallets() -> None:
    thirds = [holding(333_333_333_333, decimals=12), holding(666_666_666_667, decimals=12)]
    assert earned(EntitlementPolicy(), thirds, DOLLAR).value_nano_usd == USD
    assert earned(EntitlementPolicy(), [holding(1_999_999, decimals=6)], DOLLAR).requests == 1
    assert earned(EntitlementPolicy(minimum_nano_usd=0), [holding(1, decimals=10)], DOLLAR).value_nano_usd == 0


def test_holdings_below_the_minimum_earn_nothing() -> None:
    got = earned(EntitlementPolicy(), [holding(999_999)], DOLLAR)
    assert (got.requests, got.budget_nano_usd) == (0, 0)
    assert got.why == {Why.BELOW_MINIMUM}


def test_caps_bound_a_wallet_and_an_account() -> None:
    policy = EntitlementPolicy(wallet_cap_nano_usd=5 * USD, account_cap_nano_usd=8 * USD, account_cap_requests=7)
    one = earned(policy, [holding(11 * 10**6)], DOLLAR)
    assert (one.requests, one.budget_nano_usd, one.why) == (5, 5 * USD, frozenset({Why.WALLET_CAP}))
    two = earned(policy, [holding(11 * 10**6)] * 2, DOLLAR)
    assert (two.requests, two.budget_nano_usd) == (7, 8 * USD)
    assert two.why == {Why.WALLET_CAP, Why.ACCOUNT_CAP}


@given(snapshot=AMOUNTS, seen=AMOUNTS, price=PRICES)
def test_what_is_counted_is_never_more_than_what_was_held_then_or_is_held_now(
    snapshot: int, seen: int, price: int
) -> None:
    policy = EntitlementPolicy()
    both = earned(policy, [holding(snapshot, seen)], price)
    assert both.budget_nano_usd <= earned(policy, [holding(snapshot)], price).budget_nano_usd
    assert both.budget_nano_usd <= earned(policy, [holding(seen)], price).budget_nano_usd
    assert earned(policy, [holding(snapshot, claimed=False)], price).budget_nano_usd == 0
    assert earned(policy, [holding(snapshot)], None).budget_nano_usd == 0


@given(parts=st.lists(st.integers(0, 10**18), min_size=1, max_size=24), price=PRICES)
def test_a_bag_in_many_wallets_is_worth_no_more_than_in_one(parts: list[int], price: int) -> None:
    policy = EntitlementPolicy(wallet_cap_nano_usd=10**30, account_cap_nano_usd=10**30, account_cap_requests=10**30)
    apart = earned(policy, [holding(part) for part in parts], price)
    together = earned(policy, [holding(sum(parts))], price)
    assert apart == together
    alone = [earned(policy, [holding(part)], price) for part in parts]
    assert sum(one.budget_nano_usd for one in alone) <= together.budget_nano_usd


def test_tokens_are_named_by_chain_and_address() -> None:
    mint = "9VY2rDbtsBmTsBxoRF8hWSEUKGqnoQoe9V6W3JnjNgfm"
    assert token_from_text(f"solana/token:{mint}") == Token(Namespace.SOLANA, "", mint)
    evm = token_from_text("eip155:8453/erc20:0x" + "Ab" * 20)
    assert evm is not None
    assert str(evm) == "eip155:8453/erc20:0x" + "ab" * 20
    for wrong in (
        "JTVO",
        f"solana/erc20:{mint}",
        f"eip155:1/token:{mint}",
        "eip155/erc20:0x" + "11" * 20,
        "solana/token:x",
    ):
        assert token_from_text(wrong) is None

"""
Entitlement: from holdings to the limits of one day.

    counted = min(balance in the day's snapshot, balance lately seen)
    value   = Σ counted × price, each wallet's up to the cap per wallet; rounded down once, to a nano-dollar
    limits  = value × rate, up to the caps of an account; rounded down

Less than the minimum counts as nothing. All of it is a function of what is passed in: the same holdings, price and
policy give the same limits, in whatever order things happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from jatevo.domain.money import NANO_PER_USD, HeldUnits, requests_for_value, share_nano_usd, value_nano_usd
from jatevo.domain.wallets import Wallet


@dataclass(frozen=True, slots=True)
class EntitlementPolicy:
    """
    What holdings earn. The defaults give a dollar and a request a day for each dollar held.

    `minimum_nano_usd`: what is worth less earns nothing, so that dust costs no upstream anything. The caps bound what
    one wrong price could cost in a day. The starter allowance is for accounts with a wallet that counts for them
    today; it is no property of holdings, and more wallets mean more allowances.
    """

    budget_bps: int = 10_000
    requests_per_1000_usd: int = 1000
    minimum_nano_usd: int = 1 * NANO_PER_USD
    wallet_cap_nano_usd: int = 10_000 * NANO_PER_USD
    account_cap_nano_usd: int = 50_000 * NANO_PER_USD
    account_cap_requests: int = 50_000
    starter_requests: int = 0
    starter_nano_usd: int = 0


class Why(StrEnum):
    """What bounds an entitlement from above, beside what is held: what somebody would have to change to have more."""

    NO_WALLET = "no_wallet"
    NO_SNAPSHOT = "no_snapshot"
    NO_PRICE = "no_price"
    PRICE_HELD_BACK = "price_held_back"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    OTHER_CHAIN = "other_chain"
    NOT_IN_SNAPSHOT = "not_in_snapshot"
    BOUGHT_SINCE = "bought_since"
    SOLD_SINCE = "sold_since"
    BELOW_MINIMUM = "below_minimum"
    WALLET_CAP = "wallet_cap"
    ACCOUNT_CAP = "account_cap"
    STARTER = "starter"


@dataclass(frozen=True, slots=True)
class Holding:
    """
    What one wallet of an account holds. Units None: not known. `seen_units`: none when it is
    older than the snapshot. `claimed`: it counts for this account today. `has_token`: the day's snapshot is of a token
    on its chain.
    """

    wallet: Wallet
    decimals: int
    snapshot_units: int | None
    seen_units: int | None
    claimed: bool = True
    has_token: bool = True

    @property
    def counted_units(self) -> int:
        if not self.claimed or self.snapshot_units is None:
            return 0
        return self.snapshot_units if self.seen_units is None else min(self.snapshot_units, self.seen_units)

    def why(self) -> frozenset[Why]:
        """Return what keeps this wallet from counting more."""
        if not self.claimed:
            return frozenset({Why.CLAIMED_ELSEWHERE})
        if not self.has_token:
            return frozenset({Why.OTHER_CHAIN})
        if self.snapshot_units is None:
            return frozenset({Why.NOT_IN_SNAPSHOT})
        if self.seen_units is None or self.seen_units == self.snapshot_units:
            return frozenset()
        return frozenset({Why.BOUGHT_SINCE if self.seen_units > self.snapshot_units else Why.SOLD_SINCE})


@dataclass(frozen=True, slots=True)
class Earned:
    """What holdings earn on one day, and what bounded it."""

    value_nano_usd: int
    requests: int
    budget_nano_usd: int
    why: frozenset[Why]


def earned(policy: EntitlementPolicy, holdings: Sequence[Holding], price_pico_usd: int | None) -> Earned:
    """Return what holdings earn at a price. Without a price nothing is worth anything."""
    units = [HeldUnits(holding.counted_units, holding.decimals) for holding in holdings]
    price = price_pico_usd or 0
    whole = value_nano_usd(units, price)
    value = value_nano_usd(units, price, cap_nano_usd=policy.wallet_cap_nano_usd)
    why = {reason for holding in holdings for reason in holding.why()}
    why |= {Why.NO_WALLET} if not holdings else set()
    why |= {Why.NO_PRICE} if price_pico_usd is None else set()
    why |= {Why.WALLET_CAP} if value < whole else set()
    counted = value
    if value < policy.minimum_nano_usd:
        why |= {Why.BELOW_MINIMUM} if holdings and price_pico_usd is not None else set()
        counted = 0
    budget = share_nano_usd(counted, policy.budget_bps)
    requests = requests_for_value(counted, policy.requests_per_1000_usd)
    if budget > policy.account_cap_nano_usd or requests > policy.account_cap_requests:
        why.add(Why.ACCOUNT_CAP)
    capped = Earned(
        value, min(requests, policy.account_cap_requests), min(budget, policy.account_cap_nano_usd), frozenset(why)
    )
    return _with_starter(policy, capped) if any(holding.claimed for holding in holdings) else capped


def _with_starter(policy: EntitlementPolicy, by_holdings: Earned) -> Earned:
    requests = max(by_holdings.requests, policy.starter_requests)
    budget = max(by_holdings.budget_nano_usd, policy.starter_nano_usd)
    if (requests, budget) == (by_holdings.requests, by_holdings.budget_nano_usd):
        return by_holdings
    return Earned(by_holdings.value_nano_usd, requests, budget, by_holdings.why | {Why.STARTER})

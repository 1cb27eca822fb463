"""
Money as integers. The only module that rounds.

Units
-----
nano-USD (10⁻⁹ USD)   balances, charges, limits.
price                 nano-USD per million tokens: `$0.15 / 1M` is 150_000_000.
femto-USD (10⁻¹⁵ USD) a cost before rounding: tokens × price, exact.
pico-USD (10⁻¹² USD)  the price of one token that people hold, which may be worth far less than a cent.

Invariants: no float ever enters; a request is rounded once, up, by `charge_nano_usd`; what is shown rounds down.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

NANO_PER_USD = 10**9
PICO_PER_NANO = 10**3
FEMTO_PER_NANO = 10**6
BASIS_POINTS = 10**4
MAX_NANO_USD = 10**18
"""A billion dollars: the largest amount accepted anywhere, well inside DynamoDB's exact 38 digits and 64 bits."""

_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)


class MoneyError(ValueError):
    """A text that is not an exact, non-negative amount of US dollars."""


def parse_usd(text: str) -> int:
    """
    Return the nano-USD that the decimal string `text` (USD) stands for.

    Raises MoneyError for anything that is not a plain non-negative decimal with at most nine places, so that no
    amount is ever silently rounded on the way in.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MoneyError(f'{text!r} is not a US dollar amount: write a decimal string such as "0.15"')
    whole, fraction = match.groups(default="")
    nano = int(whole) * NANO_PER_USD + int(fraction.ljust(9, "0"))
    if nano > MAX_NANO_USD:
        raise MoneyError(f"{text} is more than the largest amount, {format_usd(MAX_NANO_USD)}")
    return nano


def format_usd(nano_usd: int) -> str:
    """Return `nano_usd` as an exact decimal string of USD with at least two places: 1_500_000_000 → "1.50"."""
    sign = "-" if nano_usd < 0 else ""
    whole, fraction = divmod(abs(nano_usd), NANO_PER_USD)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def charge_nano_usd(cost_femto_usd: int, margin_bps: int | Fraction) -> int:
    """Return cost plus margin, exact, then rounded up once to a nano-dollar: the one rounding of a request."""
    return _ceil_div(cost_femto_usd * (BASIS_POINTS + margin_bps), FEMTO_PER_NANO * BASIS_POINTS)


def resale_margin_bps(margin_bps: int, reseller_margin_bps: int) -> Fraction:
    """
    Return the margin on cost of a price that a reseller has put a margin on in turn, exact: so that the reseller's
    price is rounded once from the cost, and not from a price that was rounded before.
    """
    return Fraction((BASIS_POINTS + margin_bps) * (BASIS_POINTS + reseller_margin_bps), BASIS_POINTS) - BASIS_POINTS


def cost_nano_usd(cost_femto_usd: int) -> int:
    """
    Return the operator's cost of a request for the books, rounded up.

    The margin is found by subtraction from the charge, so the books always add up and never overstate what was earned.
    """
    return _ceil_div(cost_femto_usd, FEMTO_PER_NANO)


def price_with_margin(price: int, margin_bps: int) -> int:
    """Return a price as it is shown to who pays it, rounded up. For display: a charge is reckoned exactly."""
    return _ceil_div(price * (BASIS_POINTS + margin_bps), BASIS_POINTS)


def share_nano_usd(amount_nano_usd: int, bps: int) -> int:
    """Return `bps` basis points of an amount, rounded down: for caps that are a share of a limit."""
    return amount_nano_usd * bps // BASIS_POINTS


@dataclass(frozen=True, slots=True)
class HeldUnits:
    """An amount of a token in base units, 10^`decimals` of which are one token."""

    units: int
    decimals: int


def value_nano_usd(held: Iterable[HeldUnits], price_pico_usd: int, *, cap_nano_usd: int | None = None) -> int:
    """
    Return what is held in all, each amount counting `cap_nano_usd` at most, exact, then rounded down once.

    `price_pico_usd` is of one whole token.
    """
    held = list(held)
    scale: int = 10 ** max((amount.decimals for amount in held), default=0)
    cap = None if cap_nano_usd is None else cap_nano_usd * PICO_PER_NANO * scale
    worth: list[int] = [amount.units * price_pico_usd * scale // 10**amount.decimals for amount in held]
    return sum(min(value, cap) if cap is not None else value for value in worth) // (PICO_PER_NANO * scale)


def requests_for_value(amount_nano_usd: int, requests_per_1000_usd: int) -> int:
    """Return how many requests an amount stands for, rounded down."""
    return amount_nano_usd * requests_per_1000_usd // (1000 * NANO_PER_USD)


def _ceil_div(numerator: int | Fraction, denominator: int) -> int:
    return -(-numerator // denominator)

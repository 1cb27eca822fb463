"""
Prices of the token: what sources say, and the units it is said in.

pico-USD (10⁻¹² USD) per whole token, an integer: `price_pico_usd`. Prices outside LOWEST to HIGHEST are no prices:
below it a daily rise could round to nothing, and above it nobody has ever seen one.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

PICO_PER_USD = 10**12
LOWEST_PICO_USD = 10**3
"""A billionth of a dollar for a token."""
HIGHEST_PICO_USD = 10**6 * PICO_PER_USD
"""A million dollars for a token."""

_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,12}))?", re.ASCII)


class PriceError(ValueError):
    """A text that is not an exact price of a token in US dollars, or one outside the bounds."""


def parse_price(text: str) -> int:
    """Return the pico-USD that a decimal string of US dollars stands for, exactly. Raises PriceError."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise PriceError(f'{text[:64]!r} is not a price in US dollars: write a decimal string such as "0.0025"')
    whole, fraction = match.groups(default="")
    price = int(whole) * PICO_PER_USD + int(fraction.ljust(12, "0"))
    if not plausible(price):
        low, high = format_price(LOWEST_PICO_USD), format_price(HIGHEST_PICO_USD)
        raise PriceError(f"a price is from {low} to {high} US dollars for a token")
    return price


def format_price(price_pico_usd: int) -> str:
    """Return a price as an exact decimal string of US dollars with at least two places."""
    whole, fraction = divmod(price_pico_usd, PICO_PER_USD)
    return f"{whole}.{f'{fraction:012d}'.rstrip('0').ljust(2, '0')}"


def plausible(price_pico_usd: int) -> bool:
    """Return whether a number can be a price at all."""
    return LOWEST_PICO_USD <= price_pico_usd <= HIGHEST_PICO_USD


class Failing(StrEnum):
    """Why a source gave no price."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    """It answered, with an error, a redirect, or more than is read."""
    MALFORMED = "malformed"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a reason, no secret
    """It knows no market of the token that is quoted in something else."""
    TOO_THIN = "too_thin"
    """Its markets are too small, too young or too quiet."""
    TOO_OLD = "too_old"
    IMPLAUSIBLE = "implausible"
    """Zero, negative, or outside the bounds."""
    BROKEN = "broken"
    """It cannot be asked for a reason of our own; the log says more."""
    MISCONFIGURED = "misconfigured"
    """What is configured cannot be asked: a wrong address, another token's pool, no secret."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A price that a source gave. `as_of_unix_s` is when it held there; `max_age_s` how old this source's may be."""

    source: str
    price_pico_usd: int
    as_of_unix_s: int
    max_age_s: int


@dataclass(frozen=True, slots=True)
class NoObservation:
    """A source gave no price. `detail` is for operators and names no secret."""

    source: str
    failing: Failing
    detail: str = ""


type Heard = Observation | NoObservation

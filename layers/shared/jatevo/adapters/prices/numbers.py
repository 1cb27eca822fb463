"""
Numbers as APIs write them, exactly: decimals, never floats. Whatever is no number is `malformed`.

Exponents are bounded before anything is reckoned with: `1e999999999` is a short text and a long number.
"""

import datetime as dt
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from jatevo.adapters.prices.failures import SourceFailed
from jatevo.domain.prices import PICO_PER_USD, Failing, plausible

_LONGEST_TEXT = 100
_LARGEST_EXPONENT = 60


def decimal(value: Any, what: str) -> Decimal:
    """Return a JSON number, or a text that is one, as a finite decimal. Raises SourceFailed."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise SourceFailed(Failing.MALFORMED, f"{what} is no number")
    if len(text := str(value)) > _LONGEST_TEXT:
        raise SourceFailed(Failing.MALFORMED, f"{what} is too long")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise SourceFailed(Failing.MALFORMED, f"{what} is no number") from error
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise SourceFailed(Failing.MALFORMED, f"{what} is no plain number")
    return number


def whole(value: Any, what: str) -> int:
    """Return a JSON integer. Raises SourceFailed."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**63:
        raise SourceFailed(Failing.MALFORMED, f"{what} is no whole number")
    return value


def price(usd: Fraction) -> int:
    """Return US dollars as pico-USD, rounded down. Raises SourceFailed for what can be no price."""
    pico = usd * PICO_PER_USD
    rounded = pico.numerator // pico.denominator
    if not plausible(rounded):
        raise SourceFailed(Failing.IMPLAUSIBLE, "zero, negative or out of bounds")
    return rounded


def instant(value: Any, what: str) -> int:
    """Return an RFC 3339 text as unix seconds. Raises SourceFailed."""
    try:
        found = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise SourceFailed(Failing.MALFORMED, f"{what} is no time") from error
    return int((found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp())


def member(value: Any, *names: str | int) -> Any:
    """Return a member of a member of a document. Raises SourceFailed where one is missing."""
    for name in names:
        try:
            value = value[name]
        except (KeyError, IndexError, TypeError) as error:
            raise SourceFailed(Failing.MALFORMED, f"{name} is missing") from error
    return value


def listed(value: Any, what: str) -> list[Any]:
    """Return a JSON array. Raises SourceFailed."""
    if not isinstance(value, list):
        raise SourceFailed(Failing.MALFORMED, f"{what} is no list")
    return value

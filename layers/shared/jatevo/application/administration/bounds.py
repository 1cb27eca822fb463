"""
Bounds of what operators may set, so that no number overflows and no list grows without end.

Each function returns its value or raises InvalidValue; None, which stands for "no limit" or "the default", passes.
"""

import re
from collections.abc import Iterable, Mapping

from jatevo.application.administration.problems import InvalidValue
from jatevo.domain.calendar import day_start_unix_s, utc_day
from jatevo.domain.ip_ranges import MAX_RANGES, ip_range
from jatevo.domain.lanes import SHARED
from jatevo.domain.money import MAX_NANO_USD, format_usd

MAX_NAME_LENGTH = 100
MAX_REASON_LENGTH = 300
MAX_REQUESTS_PER_DAY = 10**9
MAX_REQUESTS_PER_MINUTE = 10**6
MAX_LABELS = 10
MAX_CONCURRENCY = 1000
"""Open reservations live in one item: with a thousand of them it is 40 KB, and each write costs accordingly."""
MAX_MARGIN_BPS = 100_000
"""Ten times the cost on top of it."""
MAX_MODELS_PER_KEY = 100
MAX_LANES_PER_ACCOUNT = 20
MAX_EXPIRY_UNIX_S = 2**32

_MODEL_ID = re.compile(r"[A-Za-z0-9._:/-]{1,130}", re.ASCII)
_LANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_OPERATOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


def name(value: str, *, optional: bool = False) -> str:
    """Return a name as it is shown, without blanks around it."""
    value = value.strip()
    if not value and not optional:
        raise InvalidValue("The name must not be empty.", param="name")
    if len(value) > MAX_NAME_LENGTH or not value.isprintable():
        raise InvalidValue(f"A name has at most {MAX_NAME_LENGTH} printable characters.", param="name")
    return value


def reason(value: str) -> str:
    """Return why something is done, as it is kept."""
    value = value.strip()
    if not value or len(value) > MAX_REASON_LENGTH or not value.isprintable():
        raise InvalidValue(f"Give a reason of at most {MAX_REASON_LENGTH} printable characters.", param="reason")
    return value


def operator_name(value: str) -> str:
    if _OPERATOR.fullmatch(value) is None:
        raise InvalidValue("An operator's name has 1 to 64 letters, digits or . _ @ -", param="name")
    return value


def requests_per_day(value: int | None) -> int | None:
    return _within(value, 0, MAX_REQUESTS_PER_DAY, "requests_per_day")


def budget_nano_usd_per_day(value: int | None) -> int | None:
    return _budget(value, "budget_usd_per_day")


def requests_per_minute(value: int | None) -> int | None:
    return _within(value, 0, MAX_REQUESTS_PER_MINUTE, "requests_per_minute")


def requests_per_month(value: int | None) -> int | None:
    return _within(value, 0, MAX_REQUESTS_PER_DAY, "requests_per_month")


def budget_nano_usd_per_month(value: int | None) -> int | None:
    return _budget(value, "budget_usd_per_month")


def reseller_margin_bps(value: int | None) -> int | None:
    return _within(value, 0, MAX_MARGIN_BPS, "reseller_margin_bps")


def labels(value: Mapping[str, str] | None) -> dict[str, str]:
    """Return a key's labels: a few short words of its owner's."""
    given = dict(value or {})
    if len(given) > MAX_LABELS:
        raise InvalidValue(f"A key has at most {MAX_LABELS} labels.", param="labels")
    for label, text in given.items():
        if _LABEL.fullmatch(label) is None or len(text) > MAX_NAME_LENGTH or not text.isprintable():
            detail = "A label has 1 to 32 letters, digits or . _ - and says at most 100 printable characters."
            raise InvalidValue(detail, param="labels")
    return given


def concurrency(value: int | None) -> int | None:
    return _within(value, 1, MAX_CONCURRENCY, "concurrency")


def margin_bps(value: int | None) -> int | None:
    return _within(value, 0, MAX_MARGIN_BPS, "margin_bps")


def models(value: Iterable[str] | None) -> frozenset[str] | None:
    """Return an allow-list. It is never empty: that would read as a key for nothing, or for everything."""
    if value is None:
        return None
    allowed = frozenset(value)
    if not allowed:
        raise InvalidValue(
            "Name at least one model, or none at all for a key that may use every model.", param="models"
        )
    if len(allowed) > MAX_MODELS_PER_KEY:
        raise InvalidValue(f"A key names at most {MAX_MODELS_PER_KEY} models.", param="models")
    for model_id in allowed:
        if _MODEL_ID.fullmatch(model_id) is None:
            raise InvalidValue(f"{model_id[:130]!r} cannot be a model's id.", param="models")
    return allowed


def lanes(value: Iterable[str]) -> frozenset[str]:
    """Return the reserved lanes of an account. They need not be in the catalogue yet."""
    allowed = frozenset(value)
    if len(allowed) > MAX_LANES_PER_ACCOUNT:
        raise InvalidValue(f"An account names at most {MAX_LANES_PER_ACCOUNT} lanes.", param="lanes")
    for lane in allowed:
        if lane == SHARED or _LANE_ID.fullmatch(lane) is None:
            raise InvalidValue(f"{lane[:64]!r} cannot be a reserved lane's id.", param="lanes")
    return allowed


def key_lanes(value: Iterable[str]) -> frozenset[str]:
    """Return the lanes of a key: never none, which could not be told from all."""
    allowed = lanes(value)
    if not allowed:
        raise InvalidValue(
            "Name at least one lane, or null for a key that may use all of its account's.", param="lanes"
        )
    return allowed


def ip_ranges(value: Iterable[str] | None) -> frozenset[str] | None:
    """Return the networks a key may be used from, in canonical form: never none."""
    if value is None:
        return None
    given = frozenset(value)
    if not 1 <= len(given) <= MAX_RANGES:
        raise InvalidValue(f"Name 1 to {MAX_RANGES} IP ranges, or null for any.", param="ip_ranges")
    allowed = {text: ip_range(text) for text in given}
    for text, canonical in allowed.items():
        if canonical is None:
            raise InvalidValue(
                f"{text[:64]!r} is no IP range such as 203.0.113.0/24 or 2001:db8::/32.", param="ip_ranges"
            )
    return frozenset(canonical for canonical in allowed.values() if canonical is not None)


def expiry(value: int | None, now_unix_s: int) -> int | None:
    """Return the end of a key's life in unix seconds: in the future."""
    if value is not None and not now_unix_s < value <= MAX_EXPIRY_UNIX_S:
        raise InvalidValue("A key must expire in the future, and before the year 2106.", param="expires_at_unix_s")
    return value


def day(value: str) -> str:
    """Return a UTC day such as 2026-11-23."""
    try:
        if utc_day(day_start_unix_s(value)) == value:
            return value
    except ValueError:
        pass
    raise InvalidValue("A day is written like 2026-11-23 (UTC).", param="day")


def month(value: str) -> str:
    """Return a month such as 2026-11."""
    if not (len(value) == 7 and day(f"{value}-01")):
        raise InvalidValue("A month is written like 2026-11.", param="month")
    return value


def _budget(value: int | None, param: str) -> int | None:
    if value is not None and not 0 <= value <= MAX_NANO_USD:
        raise InvalidValue(f"The budget must be from 0 to {format_usd(MAX_NANO_USD)} USD.", param=param)
    return value


def _within(value: int | None, low: int, high: int, param: str) -> int | None:
    if value is not None and not low <= value <= high:
        raise InvalidValue(f"{param} must be from {low} to {high}.", param=param)
    return value

"""
Periods of the books: UTC days, because both counters reset at 00:00 UTC; months, minutes and for ever where configured.

A day is written `2026-11-23`, a month `2026-11`, a minute `2026-11-23T10:41`; instants are integer seconds since the
Unix epoch.
"""

import datetime as dt

DAY_S = 86_400
MINUTE_S = 60
ALWAYS = "always"
"""The period of what never starts anew."""
_MONTH_LENGTH, _DAY_LENGTH = len("2026-11"), len("2026-11-23")
_EPOCH = dt.date(1970, 1, 1)


def utc_day(unix_s: int) -> str:
    """Return the UTC day in which the instant `unix_s` lies."""
    return (_EPOCH + dt.timedelta(days=unix_s // DAY_S)).isoformat()


def next_reset_unix_s(unix_s: int) -> int:
    """Return the next 00:00 UTC strictly after `unix_s`: when both counters start anew."""
    return (unix_s // DAY_S + 1) * DAY_S


def day_start_unix_s(day: str) -> int:
    """Return the instant at which `day` begins. Raises ValueError if it is not a day such as `2026-11-23`."""
    return (dt.date.fromisoformat(day) - _EPOCH).days * DAY_S


def days_between(first: str, last: str) -> list[str]:
    """Return the days from `first` to `last`, both included; none when `last` is the earlier one."""
    return [utc_day(start) for start in range(day_start_unix_s(first), day_start_unix_s(last) + 1, DAY_S)]


def iso_instant(unix_s: int) -> str:
    """Return an instant in the form of RFC 3339: `2026-11-24T00:00:00Z`."""
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_month(unix_s: int) -> str:
    """Return the UTC month in which the instant `unix_s` lies."""
    return utc_day(unix_s)[:_MONTH_LENGTH]


def utc_minute(unix_s: int) -> str:
    """Return the UTC minute in which the instant `unix_s` lies."""
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M")


def period_end_unix_s(period: str) -> int | None:
    """Return when a day, month or minute is over; None for `ALWAYS`. Raises ValueError for what is none of them."""
    if period == ALWAYS:
        return None
    if len(period) == _MONTH_LENGTH:
        somewhere_in_the_next = day_start_unix_s(f"{period}-01") + 31 * DAY_S
        return day_start_unix_s(f"{utc_month(somewhere_in_the_next)}-01")
    if len(period) == _DAY_LENGTH:
        return day_start_unix_s(period) + DAY_S
    return int(dt.datetime.fromisoformat(f"{period}+00:00").timestamp()) + MINUTE_S

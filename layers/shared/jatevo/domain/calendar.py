"""
Days of the books: UTC days, because both counters reset at 00:00 UTC.

A day is written `2026-11-23`; instants are integer seconds since the Unix epoch.
"""

import datetime as dt

DAY_S = 86_400
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

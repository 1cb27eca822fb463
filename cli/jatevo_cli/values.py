"""
What people write on a command line, made into what the API takes. Raises argparse.ArgumentTypeError with what to write.
"""

import argparse
import datetime as dt
import re
import time

NONE = ("none", "never", "all", "default")
"""Words that remove a limit or bring back a default."""

_DURATION = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def whole(text: str) -> int:
    """Return a whole number."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def whole_or_none(text: str) -> int | None:
    """Return a whole number, or None for "none" or "default"."""
    return None if text in NONE else whole(text)


def usd(text: str) -> str:
    """Return an amount of US dollars as it was written; the gateway checks it."""
    return text.removeprefix("$")


def usd_or_none(text: str) -> str | None:
    """Return an amount of US dollars, or None for "none"."""
    return None if text in NONE else usd(text)


def names(text: str) -> list[str]:
    """Return a list written a,b,c."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as a,b")
    return found


def names_or_empty(text: str) -> list[str]:
    """Return a list written a,b,c; empty for "none"."""
    return [] if text in NONE else names(text)


def names_or_none(text: str) -> list[str] | None:
    """Return a list written a,b,c, or None for "all"."""
    return None if text in NONE else names(text)


def labels(text: str) -> dict[str, str]:
    """Return labels written a=x,b=y; none for "none"."""
    pairs = [name.partition("=") for name in names_or_empty(text)]
    if not all(name and between for name, between, _ in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of labels such as team=red,customer=42")
    return {name: said for name, _, said in pairs}


def instant(text: str) -> int:
    """Return an instant in unix seconds: 2026-12-31, 2026-12-31T18:00:00Z, 30d from now, or the number itself."""
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return int(time.time()) + int(duration[1]) * _SECONDS[duration[2]]
    if text.isascii() and text.isdigit() and len(text) > 8:
        return int(text)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a day (2026-12-31), an instant (2026-12-31T18:00:00Z), nor a time from now (30d, 12h)"
        ) from error
    return int((found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp())


def instant_or_none(text: str) -> int | None:
    """Return an instant, or None for "never"."""
    return None if text in NONE else instant(text)


def day(text: str) -> str:
    """Return a UTC day."""
    try:
        if dt.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2026-11-23")

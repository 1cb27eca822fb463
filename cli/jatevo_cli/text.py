"""Answers of the admin API as text for people: amounts in dollars, instants in UTC, columns aligned."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

type Row = Sequence[object]

NANO_PER_USD = 10**9


def table(header: Sequence[str], rows: Iterable[Row], empty: str) -> str:
    """Return aligned columns under a header, numbers to the right; or `empty` when there are no rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return empty
    right = [all(_is_number(row[column]) for row in cells) for column in range(len(header))]
    widths = [max(len(row[column]) for row in [list(header), *cells]) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        columns = zip(row, widths, right, strict=True)
        return "  ".join(text.rjust(width) if number else text.ljust(width) for text, width, number in columns).rstrip()

    return "\n".join(line(row) for row in [list(header), *cells])


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names and values, one pair a line."""
    cells = [(name, _cell(value)) for name, value in pairs]
    width = max(len(name) for name, _ in cells)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in cells)


def usd(nano_usd: int) -> str:
    """Return an amount exactly, with at least two places: `-$1.50`."""
    sign = "-" if nano_usd < 0 else ""
    return f"{sign}${decimal_usd(abs(nano_usd))}"


def decimal_usd(nano_usd: int) -> str:
    """Return an amount as the gateway writes it: `-1.50`."""
    sign = "-" if nano_usd < 0 else ""
    whole, fraction = divmod(abs(nano_usd), NANO_PER_USD)
    return f"{sign}{whole}.{f'{fraction:09d}'.rstrip('0').ljust(2, '0')}"


def nano_usd(decimal: str) -> int:
    """Return an amount that the gateway wrote as a decimal, in nano-USD, exactly."""
    return int(Decimal(decimal) * NANO_PER_USD)


def optional_usd(text: str | None) -> str:
    return "-" if text is None else f"${text}"


def instant(unix_s: int | None) -> str:
    """Return an instant in UTC: 2026-11-23 18:00."""
    if unix_s is None:
        return "-"
    return dt.datetime.fromtimestamp(unix_s, tz=dt.UTC).strftime("%Y-%m-%d %H:%M")


def margin(bps: int | None) -> str:
    return "default" if bps is None else f"{bps / 100:g}%"


def prices(price: Mapping[str, Any]) -> str:
    """Return the prices of a model on one line, US dollars per million tokens."""
    return ", ".join(f"{name} {value}" for name, value in price.items() if isinstance(value, str))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _is_number(text: str) -> bool:
    return text == "-" or text.removeprefix("-").removeprefix("$").replace(".", "", 1).isdigit()

"""Small charts as SVG, written by hand: bars from nothing, and straight lines. Readable on light and dark pages."""

from collections.abc import Sequence
from html import escape

_COLOURS = ("#2f6fd6", "#e0872b", "#3f9b57", "#b5485d", "#7a68c4")
_INK, _FAINT = "#808590", "#80859055"
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" '
    'fill="{ink}" role="img"><title>{title}</title>\n<text x="0" y="14" font-weight="bold">{title}</text>\n'
)


def bars(title: str, rows: Sequence[tuple[str, Sequence[float | None]]], series: Sequence[str], unit: str) -> str:
    """Return horizontal bars, one for each row and series; None is shown as a dash."""
    left, width, thick = 190, 640, 15
    most = max(value for _, values in rows for value in values if value is not None)
    parts, y = [], 28
    for place, name in enumerate(series):
        parts.append(f'<rect x="{left + place * 130}" y="{y}" width="10" height="10" fill="{_COLOURS[place]}"/>')
        parts.append(f'<text x="{left + 15 + place * 130}" y="{y + 10}">{escape(name)}</text>')
    y += 24
    for name, values in rows:
        middle = y + thick * len(values) / 2 + 3
        parts.append(f'<text x="{left - 8}" y="{middle:g}" text-anchor="end">{escape(name)}</text>')
        for place, value in enumerate(values):
            long = (value or 0) / most * (width - left - 90)
            shown = "–" if value is None else f"{value:.2f} {unit}"
            parts.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{thick - 3}" fill="{_COLOURS[place]}"/>')
            parts.append(f'<text x="{left + long + 6:.1f}" y="{y + thick - 5}">{shown}</text>')
            y += thick
        y += 9
    return _document(title, width, y, parts)


def lines(title: str, x_name: str, y_name: str, most_x: float, drawn: Sequence[tuple[str, float, float]]) -> str:
    """Return straight lines, each a name, its value at nothing and what it gains for one more."""
    left, top, width, height, right = 60, 40, 640, 320, 470
    most_y = max(at_nothing + gain * most_x for _, at_nothing, gain in drawn)

    def point(x: float, y: float) -> str:
        return f"{left + x / most_x * (right - left):.1f},{height - 40 - y / most_y * (height - 40 - top):.1f}"

    parts = [f'<text x="{left}" y="{top - 8}">{escape(y_name)}</text>']
    parts.append(f'<text x="{right}" y="{height - 8}" text-anchor="end">{escape(x_name)}</text>')
    for step in range(5):
        x, y = most_x * step / 4, most_y * step / 4
        at_x, at_y = point(x, y).split(",")
        parts.append(f'<path d="M{left},{at_y}H{right}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{left - 6}" y="{float(at_y) + 4:.1f}" text-anchor="end">{y:.2f}</text>')
        parts.append(f'<text x="{at_x}" y="{height - 24}" text-anchor="middle">{x:g}</text>')
    for place, (name, at_nothing, gain) in enumerate(drawn):
        colour, end = _COLOURS[place], point(most_x, at_nothing + gain * most_x)
        parts.append(f'<path d="M{point(0, at_nothing)}L{end}" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{right + 6}" y="{float(end.split(",")[1]) + 4:.1f}" fill="{colour}">{escape(name)}</text>'
        )
    return _document(title, width, height, parts)


def _document(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    head = _HEAD.format(width=width, height=height, ink=_INK, title=escape(title))
    return head + "\n".join(parts) + "\n</svg>\n"

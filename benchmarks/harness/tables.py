"""Tables in Markdown: the first column is text, all others are figures."""

import itertools
from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table, its columns aligned for a terminal, too. Floats are shown with two digits after the point."""
    texts = [list(head), *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    first, *others = (_line(row, widths) for row in texts)
    rule = "|".join(["", "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:]), ""])
    return "\n".join([first, rule, *others])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures = row
    cells = [name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True))]
    return f"| {' | '.join(cells)} |"


def _shown(cell: object) -> str:
    if cell is None:
        return "–"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)


def table_under(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    lines = document.split(f"# {heading}\n", 1)[1].splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("|"))
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[begin + 2 :])
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]

"""
The plots of docs/benchmarks.md and docs/costs.md, from the tables that stand there and the prices of `costs.py`.

    make bench-plots
"""

from pathlib import Path

import costs
from harness.svg import bars, lines
from harness.tables import table_under

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "images"
MOST_STREAMS = 16


def number(text: str) -> float | None:
    return None if text == "–" else float(text.replace(",", ""))


def peers(document: str) -> str:
    rows = [(row[0], [number(cell) for cell in row[2:5]]) for row in table_under(document, "Beside others")]
    return bars("CPU of a request, by gateway", rows, ["plain", "plain, 16 at once", "streamed, 32 tokens"], "ms")


def open_reservations(document: str) -> str:
    rows = [(f"{row[0]} others", [number(row[1])]) for row in table_under(document, "With what is open")]
    return bars("Write units to reserve and apply, by what is open in the window", rows, ["write units"], "")


def crossover() -> str:
    drawn = [(f"Lambda, {size} MB", 0.0, costs.compute_usd(3600, size)) for size in costs.SIZES_MB]
    drawn += [("Fargate, 2 tasks", costs.fargate_h(), 0.0), ("Managed Instances", costs.managed_h(), 0.0)]
    title = "Compute for streams at once, dollars an hour"
    return lines(title, "streams at once, on average", "dollars an hour", MOST_STREAMS, drawn)


def main() -> None:
    document = (DOCS / "benchmarks.md").read_text()
    for name, plot in (("peers", peers(document)), ("open", open_reservations(document)), ("crossover", crossover())):
        (IMAGES / f"bench-{name}.svg").write_text(plot)


if __name__ == "__main__":
    main()

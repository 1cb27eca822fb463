"""
The bounds of the oracle: each is configuration; the defaults and their reasons stand here and in decision 40.

Basis points are hundredths of a percent.
"""

from dataclasses import dataclass, fields

BASIS_POINTS = 10**4
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class PriceRules:
    """What moves the price, how far, and when it is too old."""

    quorum: int = 2
    """So many fresh sources must agree: with one, a single liar decides."""
    deviation_bps: int = 500
    """Agreement: within 5% of the median. Indexers lag each other by a few percent in a normal market."""
    jump_bps: int = 2000
    """A ratio of more than 1.2 between two runs is believed only when it lasts."""
    sustain_s: int = 1800
    """How long it must last: thirty minutes, as the shortest on-chain average; longer than a thin pool is held up."""
    gap_s: int = 660
    """Two runs and a minute: observations further apart do not count as lasting, and older news is none."""
    degraded_after_s: int = HOUR_S
    """A price kept for an hour: outages of public APIs are mostly shorter; time to alarm somebody."""
    stale_after_s: int = 6 * HOUR_S
    """A price kept for six hours opens no new day's budget: five hours after the alarm."""
    rise_bps: int = 2500
    """The most that a day may add to the day before: 25%. A token that doubles is followed in four days."""

    def __post_init__(self) -> None:
        """Refuse rules that cannot be meant. Raises ValueError."""
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}, not {value}")
        if self.degraded_after_s > self.stale_after_s:
            raise ValueError("degraded_after_s must not be more than stale_after_s")


def rules_from_text(text: str) -> PriceRules:
    """Return the rules that `quorum=3,rise_bps=1000` stands for, else the defaults. Raises ValueError."""
    known = {field.name for field in fields(PriceRules)}
    values: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise ValueError(f"there is no bound {name!r}; there are {', '.join(sorted(known))}")
        if not (value.isascii() and value.isdigit() and len(value) < 10) or name in values:
            raise ValueError(f"{part!r} is not {name} and one whole number")
        values[name] = int(value)
    return PriceRules(**values)


_BOUNDS = (
    ("quorum", 1, 100),
    ("deviation_bps", 1, 5000),
    ("jump_bps", 1, 100_000),
    ("sustain_s", 0, 24 * HOUR_S),
    ("gap_s", 1, 24 * HOUR_S),
    ("degraded_after_s", 1, 48 * HOUR_S),
    ("stale_after_s", 1, 48 * HOUR_S),
    ("rise_bps", 100, 100_000),
)
"""`rise_bps` below 1% could round to nothing for the lowest prices."""

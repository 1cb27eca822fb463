"""
Rollups: usage by model and key, folded from ledger entries.

A rollup remembers up to which reservation id it has folded. Only entries older than any reservation can last are
folded, so none can appear behind that mark; the fresh tail is added when somebody looks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jatevo.domain.ledger import LedgerEntry, Outcome

TOTAL = "total"
"""The period of the rollup into which finished days are folded."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over ledger entries. `requests` counts those that stayed counted."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cost_nano_usd: int = 0
    margin_nano_usd: int = 0
    charge_nano_usd: int = 0
    overrun_nano_usd: int = 0
    exposure_nano_usd: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, name) + getattr(other, name) for name in Tally.__slots__))

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tally is about: one model used with one key."""

    key_id: str
    model: str


@dataclass(frozen=True, slots=True)
class Rollup:
    """Tallies of one account and period, and the mark up to which (inclusive) the ledger has been folded."""

    account_id: str
    period: str
    folded_to: str = ""
    """The last reservation id folded; for `TOTAL`, the last day folded. Empty: nothing yet."""
    complete: bool = False
    """The day is over and no entry of it can appear any more."""
    tallies: Mapping[Usage, Tally] = field(default_factory=dict)


def tally_of(entry: LedgerEntry) -> Tally:
    """Return what one entry adds to its tally."""
    return Tally(
        requests=0 if entry.outcome is Outcome.RELEASED else 1,
        input_tokens=entry.usage.input_tokens,
        output_tokens=entry.usage.output_tokens,
        cache_read_input_tokens=entry.usage.cache_read_input_tokens,
        cost_nano_usd=entry.figures.cost_nano_usd,
        margin_nano_usd=entry.figures.margin_nano_usd,
        charge_nano_usd=entry.figures.charge_nano_usd,
        overrun_nano_usd=entry.figures.overrun_nano_usd,
        exposure_nano_usd=entry.figures.exposure_nano_usd,
    )


def folded(tallies: Mapping[Usage, Tally], entries: Iterable[LedgerEntry]) -> dict[Usage, Tally]:
    """Return `tallies` with `entries` added."""
    result = dict(tallies)
    for entry in entries:
        usage = Usage(entry.key_id, entry.model)
        result[usage] = result.get(usage, Tally()) + tally_of(entry)
    return result


def merged(one: Mapping[Usage, Tally], other: Mapping[Usage, Tally]) -> dict[Usage, Tally]:
    """Return the sum of two sets of tallies."""
    result = dict(one)
    for usage, tally in other.items():
        result[usage] = result.get(usage, Tally()) + tally
    return result


def summed(tallies: Mapping[Usage, Tally], key_id: str | None = None) -> Tally:
    """Return the sum over all models, of one key or of all."""
    total = Tally()
    for usage, tally in tallies.items():
        if key_id is None or usage.key_id == key_id:
            total = total + tally
    return total

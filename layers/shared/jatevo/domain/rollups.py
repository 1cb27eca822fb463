"""
Rollups: usage by model and key, folded from ledger entries.

A rollup remembers up to which reservation id it has folded; the fresh tail is added when somebody looks. Nothing that
counts can appear behind that mark, because only entries are folded that are

- older than any reservation can last: whatever reaches the store later than that calls no upstream;
- older than the oldest reservation still open in the account's window: an accepted request is open there until its
  entry stands, however late that is decided.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from jatevo.domain.calendar import DAY_S, day_start_unix_s
from jatevo.domain.ids import first_reservation_id
from jatevo.domain.ledger import LedgerEntry, Outcome

TOTAL = "total"
"""The period of the rollup into which finished days are folded."""
OTHER = "*"
"""Stands for all models, or all keys, that have no row of their own."""
MOST_ROWS = 800
"""Rows of a key and a model; what has no row by then is summed by key."""
MOST_KEY_ROWS = 400
"""Further rows of a key and all its other models; what has no row by then is summed in a last one."""


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
    reseller_margin_nano_usd: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, name) + getattr(other, name) for name in Tally.__slots__))

    @property
    def resale_nano_usd(self) -> int:
        """What the keys' users pay: the charges, and a reseller's margins."""
        return self.charge_nano_usd + self.reseller_margin_nano_usd

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tally is about: one model used with one key. Either may be `OTHER`."""

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
    """The day is finished: this rollup is all of it and never changes again."""
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
        reseller_margin_nano_usd=entry.figures.reseller_margin_nano_usd,
    )


def fold_limit(now_ms: int, longest_s: int, open_ids: Iterable[str]) -> str:
    """
    Return the id below which nothing that counts can appear any more, so that all below it may be folded.

    `longest_s`: how long a reservation can last, clock skew included. `open_ids`: the reservations open in the
    account's window of the day, read before the entries that are to be folded.
    """
    return min([first_reservation_id(now_ms - longest_s * 1000), *open_ids])


def finished(day: str, limit: str) -> bool:
    """Return whether all of a day may be folded: no entry that counts can be added to it."""
    return limit >= first_reservation_id((day_start_unix_s(day) + DAY_S) * 1000)


def folded(tallies: Mapping[Usage, Tally], entries: Iterable[LedgerEntry]) -> dict[Usage, Tally]:
    """Return `tallies` with `entries` added."""
    result = dict(tallies)
    for entry in entries:
        _add(result, Usage(entry.key_id, entry.model), tally_of(entry))
    return result


def merged(one: Mapping[Usage, Tally], other: Mapping[Usage, Tally]) -> dict[Usage, Tally]:
    """Return the sum of two sets of tallies."""
    result = dict(one)
    for usage, tally in other.items():
        _add(result, usage, tally)
    return result


def summed(tallies: Mapping[Usage, Tally], key_id: str | None = None) -> Tally:
    """Return the sum over all models, of one key or of all."""
    total = Tally()
    for usage, tally in tallies.items():
        if key_id is None or usage.key_id == key_id:
            total = total + tally
    return total


def _add(tallies: MutableMapping[Usage, Tally], usage: Usage, tally: Tally) -> None:
    """Add to the row of `usage`, or to one that stands for more where there are too many. Nothing makes no row."""
    if tally == Tally():
        return
    if usage not in tallies and len(tallies) >= MOST_ROWS:
        usage = Usage(usage.key_id, OTHER)
        if usage not in tallies and len(tallies) >= MOST_ROWS + MOST_KEY_ROWS:
            usage = Usage(OTHER, OTHER)
    tallies[usage] = tallies.get(usage, Tally()) + tally

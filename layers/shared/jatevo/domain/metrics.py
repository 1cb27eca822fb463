"""
What is measured: every metric there is, its unit, how its values add up, and by what it is broken down.

Few on purpose, and broken down by one thing at most: each combination is a series that is paid for and looked at.
`docs/metrics.md` explains them; alarms (`template.yaml`) and the local stack know them by these names.
"""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """CloudWatch's units. Money has none there: nano-USD, as the name of such a metric says."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    PERCENT = "Percent"
    NONE = "None"


class Kind(StrEnum):
    """How values add up."""

    COUNTER = "counter"
    """Each is an amount; their sum is what matters."""
    DISTRIBUTION = "distribution"
    """Each is a measurement of its own; their spread matters."""
    GAUGE = "gauge"
    """Each is what holds at that moment; the latest matters."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric, the same as no other. `label`: what it is broken down by, empty for nothing."""

    name: str
    help: str
    unit: Unit = Unit.COUNT
    kind: Kind = Kind.COUNTER
    label: str = ""


def _of_money(name: str, text: str) -> Metric:
    return Metric(name, text, Unit.NONE)


def _spread_ms(name: str, text: str) -> Metric:
    return Metric(name, text, Unit.MILLISECONDS, Kind.DISTRIBUTION)


ACCEPTED = Metric("Accepted", "Requests that were admitted: their worst case was reserved.")
REFUSED = Metric("Refused", "Requests that were refused before anything was reserved, by error code.", label="Reason")
LANE_FULL = Metric(
    "LaneFull", "Requests that a lane had no place or nothing of its limits left for, by lane.", label="Lane"
)
SUSPECT_KEYS = Metric("SuspectKeys", "Requests with a key as a thief would make them, by sign.", label="Sign")
UNANSWERED = Metric("Unanswered", "Admitted requests that ended in an error, by error code.", label="Reason")
SERVER_ERRORS = Metric("ServerErrors", "Answers with a status of 500 or more, of every function.")
COLD_STARTS = Metric("ColdStarts", "First requests of a process.")
CHARGE = _of_money("ChargeNanoUsd", "What accounts were charged, in nano-USD.")
COST = _of_money("CostNanoUsd", "What their requests cost upstream, in nano-USD.")
MARGIN = _of_money("MarginNanoUsd", "Charge less cost, in nano-USD; negative after an overrun.")
EXPOSURE = _of_money("ExposureNanoUsd", "What may have been spent upstream without an answer or a charge, in nano-USD.")
OVERRUN = _of_money("OverrunNanoUsd", "What upstreams reported above what was reserved, in nano-USD: our loss.")
OVERRUNS = Metric("Overruns", "Requests that came to more than was reserved for them.")
INPUT_TOKENS = Metric("InputTokens", "Input tokens, cached ones included.")
OUTPUT_TOKENS = Metric("OutputTokens", "Output tokens.")
FIRST_TOKEN = _spread_ms("FirstTokenMs", "From admission to the first content of a stream.")
DURATION = _spread_ms("DurationMs", "A request to a model, from its first byte to its last.")
RESERVATION_AGE = _spread_ms("ReservationAgeMs", "How long a reservation was held when it was settled.")
CONTENTION = Metric("ReserveContention", "Attempts to reserve that were lost, throttled or in conflict.")
UPSTREAM_FAILURES = Metric("UpstreamFailures", "Tries that brought no answer, by pool.", label="Pool")
STORE_THROTTLES = Metric("StoreThrottles", "Requests that the store turned away because there were too many.")
STORE_UNKNOWN = Metric("StoreUnknown", "Requests to the store whose outcome is not known.")

EXPIRED = Metric("Expired", "Reservations that handlers left behind and the sweeper ended.")
SWEEP_BACKLOG = Metric("SweepBacklog", "Windows that a run of the sweeper found due.", kind=Kind.GAUGE)
SWEEP_FAILURES = Metric("SweepFailures", "Windows and reservations that a run of the sweeper could not end.")
DAY_SPEND = Metric("DaySpendNanoUsd", "Charges and exposure of this UTC day, in nano-USD.", Unit.NONE, Kind.GAUGE)
DAY_SPEND_PERCENT = Metric("DaySpendPercent", "The same in percent of the ceiling.", Unit.PERCENT, Kind.GAUGE)
PAUSED = Metric("Paused", "1 while no requests are taken: stopped by an operator or by the ceiling.", kind=Kind.GAUGE)

PRICE_AGE = Metric("PriceAgeSeconds", "How old the token's agreed price is.", Unit.SECONDS, Kind.GAUGE)
PRICE_STATE = Metric("PriceState", "How far it may be relied on: 0 ok, 1 frozen, 2 degraded, 3 stale.", kind=Kind.GAUGE)
PRICE_SOURCES_AGREED = Metric("PriceSourcesAgreed", "Sources that agreed in a run of the oracle.", kind=Kind.GAUGE)

SNAPSHOT_FAILURES = Metric("SnapshotFailures", "Runs that took no snapshot although it was due, or not all of it.")
SNAPSHOT_AGE = Metric(
    "SnapshotAgeSeconds", "How old the latest complete snapshot of holdings is.", Unit.SECONDS, Kind.GAUGE
)
WALLETS_UNREAD = Metric("WalletsUnread", "Wallets that a refresh could not look at.")

AUDIT_DIFFERENCES = Metric("AuditDifferences", "Closed windows that differ from the sum of their ledger entries.")

METRICS: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
"""All of them, in the order above."""

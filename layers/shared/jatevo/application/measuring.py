"""What is measured of a request to a model that is over, and of the runs of scheduled functions."""

from typing import TYPE_CHECKING

from jatevo.application.journal import ANSWERED, Journal
from jatevo.application.meter import Meter
from jatevo.domain import ids, metrics
from jatevo.domain.ledger import LedgerEntry

if TYPE_CHECKING:
    from jatevo.application.day_audits import DayReport
    from jatevo.application.holdings_refresh import RefreshReport
    from jatevo.application.price_updates import UpdateReport
    from jatevo.application.sweeper import SweepReport
    from jatevo.domain.holdings import Snapshot


def measure(journal: Journal, meter: Meter) -> None:
    """Tell the metrics of one request."""
    if journal.status >= 500:
        meter.add(metrics.SERVER_ERRORS)
    for lane in journal.full_lanes:
        meter.add(metrics.LANE_FULL, label=lane)
    if journal.suspicion is not None:
        meter.add(metrics.SUSPECT_KEYS, label=journal.suspicion)
    if journal.reserved_at_ms is None:
        if journal.code is not None:
            meter.add(metrics.REFUSED, label=journal.code)
        return
    _measure_admitted(journal, meter)


def measure_sweep(report: "SweepReport", meter: Meter) -> None:
    """Tell the metrics of a run of the sweeper."""
    meter.add(metrics.SWEEP_BACKLOG, report.windows)
    meter.add(metrics.EXPIRED, report.expired)
    meter.add(metrics.SWEEP_FAILURES, report.failed)


def measure_audit(report: "DayReport | None", meter: Meter) -> None:
    """Tell the metrics of a run of the reconciliation: a day's differences once, when all of it was audited."""
    found = 0 if report is None or not report.complete else report.difference_count
    meter.add(metrics.AUDIT_DIFFERENCES, found)


def measure_price(report: "UpdateReport", meter: Meter) -> None:
    """Tell the metrics of a run of the price oracle."""
    meter.add(metrics.PRICE_STATE, report.state.rank)
    meter.add(metrics.PRICE_SOURCES_AGREED, report.agreed)
    if report.age_s is not None:
        meter.add(metrics.PRICE_AGE, report.age_s)


def measure_refresh(report: "RefreshReport", latest: "Snapshot | None", now_unix_s: int, meter: Meter) -> None:
    """Tell the metrics of a refresh of holdings, and how old the snapshot is that days count by."""
    meter.add(metrics.WALLETS_UNREAD, report.unread)
    if latest is not None:
        meter.add(metrics.SNAPSHOT_AGE, max(0, now_unix_s - latest.taken_at_unix_s))


def _measure_admitted(journal: Journal, meter: Meter) -> None:
    meter.add(metrics.ACCEPTED)
    meter.add(metrics.DURATION, _ms(journal.over - journal.began))
    if journal.code is not None:
        meter.add(metrics.UNANSWERED, label=journal.code)
    if "first_token" in journal.phases:
        meter.add(metrics.FIRST_TOKEN, _ms(journal.phases["first_token"]))
    for one in journal.tries:
        if one.outcome != ANSWERED:
            meter.add(metrics.UPSTREAM_FAILURES, label=one.pool)
    if journal.entry is not None:
        _measure_entry(journal.entry, meter)


def _measure_entry(entry: LedgerEntry, meter: Meter) -> None:
    figures = entry.figures
    meter.add(metrics.CHARGE, figures.charge_nano_usd)
    meter.add(metrics.COST, figures.cost_nano_usd)
    meter.add(metrics.MARGIN, figures.margin_nano_usd)
    meter.add(metrics.INPUT_TOKENS, entry.usage.input_tokens)
    meter.add(metrics.OUTPUT_TOKENS, entry.usage.output_tokens)
    meter.add(metrics.RESERVATION_AGE, max(0, entry.decided_at_ms - ids.reserved_at_ms(entry.reservation_id)))
    if figures.exposure_nano_usd:
        meter.add(metrics.EXPOSURE, figures.exposure_nano_usd)
    if figures.overrun_nano_usd:
        meter.add(metrics.OVERRUNS)
        meter.add(metrics.OVERRUN, figures.overrun_nano_usd)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

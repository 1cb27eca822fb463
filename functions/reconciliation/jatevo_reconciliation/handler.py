"""
The Lambda handler of the reconciliation's schedule.

Each invocation goes on where the last one stopped, and stops itself in time. A difference is no failure of the
function: it is an error line, which names the window, and a report that stands.
"""

import asyncio
import logging
from functools import cache
from typing import Any

from jatevo.adapters.wire.differences import difference_shape
from jatevo.application.day_audits import DayReport
from jatevo.application.measuring import measure_audit
from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)

_STOP_BEFORE_MS = 60_000
"""A page of accounts is begun only while this much time is left."""


def lambda_handler(_event: object, context: Any) -> dict[str, Any]:
    """Audit the finished days that are not audited, the oldest first, and return what was found of each."""

    def has_time() -> bool:
        return context is None or context.get_remaining_time_in_millis() > _STOP_BEFORE_MS

    audited, more = list[dict[str, Any]](), True
    while more:
        report = asyncio.run(gateway().day_audits().run(has_time))
        measure_audit(report, gateway().meter)
        if report is not None:
            audited.append(_told(report))
        more = report is not None and report.complete and has_time()
    gateway().meter.flush()
    return {"audited": audited}


def _told(report: DayReport) -> dict[str, Any]:
    shown = {
        "day": report.day,
        "complete": report.complete,
        "accounts": report.accounts,
        "busy": report.busy,
        "windows": report.windows,
        "entries": report.entries,
        "differences": report.difference_count,
    }
    for difference in report.differences:
        _log.error("the books differ", extra={"fields": difference_shape(difference)})
    _log.log(logging.ERROR if report.difference_count else logging.INFO, "audit", extra={"fields": shown})
    return shown


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

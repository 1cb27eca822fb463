"""
The Lambda handler of the refresh's schedule: every quarter of an hour.

As with the sweeper, the gateway is made once per process and each invocation runs an event loop of its own.
"""

import asyncio
import logging
from dataclasses import asdict
from functools import cache

from jatevo.application.holdings_refresh import RefreshReport
from jatevo.application.measuring import measure_refresh
from jatevo.bootstrap import Gateway, settings_from
from jatevo.domain.holdings import Snapshot

_log = logging.getLogger(__name__)


_TO_END_S = 60
"""Before Lambda ends a run, no further part of it is begun: time for the one under way, and for the report."""


def lambda_handler(_event: object, context: object) -> dict[str, int]:
    """Look at the wallets of all active accounts again and renew their limits, as far as there is time."""
    report, latest = asyncio.run(_run(_patience_s(context)))
    meter = gateway().meter
    measure_refresh(report, latest, gateway().clock.now_ms() // 1000, meter)
    meter.flush()
    told = asdict(report)
    level = logging.WARNING if report.failed or report.unread or report.left else logging.INFO
    _log.log(level, "refresh", extra={"fields": told})
    return told


def _patience_s(context: object) -> float | None:
    """Return how long this invocation may go on; None where nobody ends it."""
    remaining_ms = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining_ms is None else max(0.0, remaining_ms() / 1000 - _TO_END_S)


async def _run(patience_s: float | None) -> tuple[RefreshReport, Snapshot | None]:
    report = await gateway().holdings_refresh().run(patience_s=patience_s)
    return report, await gateway().holdings_store().latest()


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

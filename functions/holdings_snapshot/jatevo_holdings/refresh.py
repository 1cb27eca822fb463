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


def lambda_handler(_event: object, _context: object) -> dict[str, int]:
    """Look at the wallets of all active accounts again and renew their limits."""
    report, latest = asyncio.run(_run())
    meter = gateway().meter
    measure_refresh(report, latest, gateway().clock.now_ms() // 1000, meter)
    meter.flush()
    told = asdict(report)
    level = logging.WARNING if report.failed or report.unread else logging.INFO
    _log.log(level, "refresh", extra={"fields": told})
    return told


async def _run() -> tuple[RefreshReport, Snapshot | None]:
    report = await gateway().holdings_refresh().run()
    return report, await gateway().holdings_store().latest()


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

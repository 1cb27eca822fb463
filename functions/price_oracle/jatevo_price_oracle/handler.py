"""
The Lambda handler of the oracle's schedule.

The gateway is made once per process. Each invocation runs an event loop of its own, as the sweeper's do. A run without
a price is no failure of the function: it is a decision, logged as a warning from `degraded` on.
"""

import asyncio
import logging
from dataclasses import asdict
from functools import cache
from typing import Any

from jatevo.application.measuring import measure_price
from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(_event: object, _context: object) -> dict[str, Any]:
    """Run the oracle once and return its report."""
    report, meter = asyncio.run(gateway().price_updates().run()), gateway().meter
    measure_price(report, meter)
    meter.flush()
    shown = asdict(report)
    _log.log(logging.WARNING if report.alarming else logging.INFO, "price", extra={"fields": shown})
    return shown


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

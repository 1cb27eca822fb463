"""
The Lambda handler of the sweeper's schedule.

The gateway is made once per process. Each invocation runs an event loop of its own: nothing in the gateway belongs to
a loop, so a process may serve any number of invocations, and an invocation that fails leaves none broken behind.
"""

import asyncio
import logging
from dataclasses import asdict
from functools import cache

from jatevo.adapters.events import flag
from jatevo.application.measuring import measure_sweep
from jatevo.application.ports import StoreError
from jatevo.application.spending import measure_spending
from jatevo.application.sweeper import SweepReport
from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(event: object, _context: object) -> dict[str, int]:
    """Run the sweeper and return its report. An event `{"full": true}` looks at every window: a repair."""
    full, meter = flag(event, "full"), gateway().meter
    try:
        report = asyncio.run(_run(full=full))
        measure_sweep(report, meter)
    finally:
        meter.flush()
    told = asdict(report)
    _log.log(logging.WARNING if report.failed else logging.INFO, "sweep", extra={"fields": told})
    return told


async def _run(*, full: bool) -> SweepReport:
    """Add up the day first, while what is done still stands in the index; neither keeps the other from being done."""
    try:
        measure_spending(await gateway().daily_spend().run(), gateway().meter)
    except StoreError as error:
        _log.error("the day could not be added up: %s", error)
    return await gateway().sweeper().run(full=full)


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

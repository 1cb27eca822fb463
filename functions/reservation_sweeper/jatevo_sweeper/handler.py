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
from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(event: object, _context: object) -> dict[str, int]:
    """Run the sweeper and return its report. An event `{"full": true}` looks at every window: a repair."""
    full, meter = flag(event, "full"), gateway().meter
    report = asyncio.run(gateway().sweeper().run(full=full))
    measure_sweep(report, meter)
    meter.flush()
    told = asdict(report)
    _log.log(logging.WARNING if report.failed else logging.INFO, "sweep", extra={"fields": told})
    return told


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

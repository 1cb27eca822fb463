"""
The Lambda handler of the sweeper's schedule.

The gateway is made once per process. Each invocation runs an event loop of its own: nothing in the gateway belongs to
a loop, so a process may serve any number of invocations, and an invocation that fails leaves none broken behind.
"""

import asyncio
import json
import logging
from dataclasses import asdict
from functools import cache

from jatevo.adapters.events import flag
from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(event: object, _context: object) -> dict[str, int]:
    """Run the sweeper and return its report. An event `{"full": true}` looks at every window: a repair."""
    full = flag(event, "full")
    report = asdict(asyncio.run(gateway().sweeper().run(full=full)))
    level = logging.WARNING if report["failed"] else logging.INFO
    _log.log(level, "sweep %s", json.dumps(report))
    return report


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

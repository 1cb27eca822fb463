"""
The Lambda handler of the sweeper's schedule.

The gateway is made once per process. Each invocation runs an event loop of its own: nothing in the gateway belongs to
a loop, so a process may serve any number of invocations, and an invocation that fails leaves none broken behind.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Run the sweeper and return its report. An event `{"full": true}` looks at every window: a repair."""
    report = asdict(asyncio.run(gateway().sweeper().run(full=event.get("full") is True)))
    level = logging.WARNING if report["failed"] else logging.INFO
    _log.log(level, "sweep %s", json.dumps(report))
    return report


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

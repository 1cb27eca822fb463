"""
The Lambda handler of the refresh's schedule: every quarter of an hour.

As with the sweeper, the gateway is made once per process and each invocation runs an event loop of its own.
"""

import asyncio
import json
import logging
from dataclasses import asdict
from functools import cache

from jatevo.bootstrap import Gateway, settings_from

_log = logging.getLogger(__name__)


def lambda_handler(_event: object, _context: object) -> dict[str, int]:
    """Look at the wallets of all active accounts again and renew their limits."""
    report = asdict(asyncio.run(gateway().holdings_refresh().run()))
    level = logging.WARNING if report["failed"] or report["unread"] else logging.INFO
    _log.log(level, "refresh %s", json.dumps(report))
    return report


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

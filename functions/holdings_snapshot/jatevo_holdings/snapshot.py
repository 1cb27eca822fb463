"""
The Lambda handler of the snapshot's schedule: every minute around midnight UTC.

As with the sweeper, the gateway is made once per process and each invocation runs an event loop of its own.
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


def lambda_handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Take the snapshot when it is time. An event `{"now": true}` takes one more at once."""
    snapshots = _gateway().snapshots()
    report = asdict(asyncio.run(snapshots.take_now() if event.get("now") is True else snapshots.run()))
    _log.info("snapshot %s", json.dumps(report))
    return report


@cache
def _gateway() -> Gateway:
    return Gateway(settings_from())

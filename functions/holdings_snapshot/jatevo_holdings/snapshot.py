"""
The Lambda handler of the snapshot's schedule: every minute around midnight UTC.

As with the sweeper, the gateway is made once per process and each invocation runs an event loop of its own.
"""

import asyncio
import logging
from dataclasses import asdict
from functools import cache
from typing import Any

from jatevo.adapters.events import flag
from jatevo.application.ports import StoreError
from jatevo.application.snapshots import SnapshotFailed
from jatevo.bootstrap import Gateway, settings_from
from jatevo.domain import metrics

_log = logging.getLogger(__name__)


def lambda_handler(event: object, _context: object) -> dict[str, Any]:
    """Take the snapshot when it is time. An event `{"now": true}` takes one more at once."""
    now, snapshots, meter = flag(event, "now"), gateway().snapshots(), gateway().meter
    try:
        report = asdict(asyncio.run(snapshots.take_now() if now else snapshots.run()))
    except (SnapshotFailed, StoreError):
        meter.add(metrics.SNAPSHOT_FAILURES)
        raise
    finally:
        meter.flush()
    _log.info("snapshot", extra={"fields": report})
    return report


@cache
def gateway() -> Gateway:
    """Return the gateway of this process."""
    return Gateway(settings_from())

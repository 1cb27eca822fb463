"""
The scheduled jobs on timers: each runs the function's own Lambda handler, as a schedule would invoke it.

A job that fails is logged and runs again when its time comes.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jatevo.bootstrap import settings_from
from jatevo_holdings.refresh import lambda_handler as refresh
from jatevo_holdings.snapshot import lambda_handler as snapshot
from jatevo_local.chain import Node
from jatevo_local.demo_chain import publish_price
from jatevo_price_oracle.handler import lambda_handler as decide_price
from jatevo_reconciliation.handler import lambda_handler as audit
from jatevo_sweeper.handler import lambda_handler as sweep

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A handler and how often it runs."""

    name: str
    every_s: int
    handler: Callable[[dict[str, Any], object], object]


def keep_price_fresh(_event: dict[str, Any], _context: object) -> None:
    """Publish the demo chain's price anew: a feed that falls silent is not believed for long."""
    url, _, feed = os.environ.get("JATEVO_LOCAL_CHAIN_FEED", "").partition(" ")
    if feed:
        with Node(url) as node:
            publish_price(node, feed)


JOBS = (
    Job("demo_price", 60, keep_price_fresh),
    Job("reservation_sweeper", 60, sweep),
    Job("price_oracle", 30, decide_price),
    Job("holdings_snapshot", 60, snapshot),
    Job("holdings_refresh", 60, refresh),
    Job("reconciliation", 600, audit),
)


def repeat(job: Job) -> None:
    """Run a job at once, and then for ever."""
    while True:
        try:
            job.handler({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, None)
        except Exception:  # noqa: BLE001 - the job runs again when its time comes
            _log.exception("the job %s failed", job.name)
        time.sleep(job.every_s)


def main() -> None:
    settings_from().set_up_logs()
    threads = [threading.Thread(target=repeat, args=(job,), name=job.name, daemon=True) for job in JOBS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()

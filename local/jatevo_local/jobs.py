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
from jatevo_local.gateway import measured_in
from jatevo_price_oracle.handler import lambda_handler as decide_price
from jatevo_reconciliation.handler import lambda_handler as audit
from jatevo_sweeper.handler import lambda_handler as sweep

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A handler, how often it runs, and the template's queue in which a run of it that failed would wait."""

    name: str
    every_s: int
    handler: Callable[[dict[str, Any], object], object]
    queue: str = ""


def keep_price_fresh(_event: dict[str, Any], _context: object) -> None:
    """Publish the demo chain's price anew: a feed that falls silent is not believed for long."""
    url, _, feed = os.environ.get("JATEVO_LOCAL_CHAIN_FEED", "").partition(" ")
    if feed:
        with Node(url) as node:
            publish_price(node, feed)


JOBS = (
    Job("demo_price", 60, keep_price_fresh),
    Job("reservation_sweeper", 60, sweep, "SweeperDeadLetters"),
    Job("price_oracle", 30, decide_price, "PriceOracleDeadLetters"),
    Job("holdings_snapshot", 60, snapshot, "HoldingsDeadLetters"),
    Job("holdings_refresh", 60, refresh, "HoldingsDeadLetters"),
    Job("reconciliation", 600, audit, "ReconciliationDeadLetters"),
)


def repeat(job: Job) -> None:
    """Run a job at once, and then for ever. What failed waits in its queue until the job next succeeds."""
    measured, waiting = measured_in(settings_from()), 0
    while True:
        try:
            job.handler({"source": "aws.scheduler", "detail-type": "Scheduled Event"}, None)
            waiting = 0
        except Exception:  # noqa: BLE001 - the job runs again when its time comes
            _log.exception("the job %s failed", job.name)
            waiting += 1
        if measured is not None and job.queue:
            measured.dead_letters(job.queue, waiting, time.time_ns() // 1_000_000)
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

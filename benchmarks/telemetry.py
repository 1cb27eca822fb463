"""
What telling of one request costs: its journal, its line in the log, its metrics and, where it is traced, its spans.

    .venv/bin/python benchmarks/telemetry.py

Everything is written for real, to /dev/null, in the forms that Lambda's log gets.
"""

import io
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from jatevo.adapters.system import SystemClock
from jatevo.adapters.telemetry.chronicle import RequestLog
from jatevo.adapters.telemetry.emf import EmfMeter
from jatevo.adapters.telemetry.logs import set_up_logs
from jatevo.application.journal import ANSWERED, Chronicle, Journal
from jatevo.application.meter import NoMeter
from jatevo.domain.ids import reservation_id
from jatevo.domain.ledger import Figures, LedgerEntry, Outcome, Reason
from jatevo.domain.tokens import TokenUsage, UsageSource

ROUNDS = 20_000
ENTRY = LedgerEntry(
    account_id="acct_abcdefghijkl",
    day="2026-11-23",
    reservation_id=reservation_id(int(time.time() * 1000), 1),
    outcome=Outcome.CHARGED,
    reason=Reason.ANSWERED,
    reserved_nano_usd=100_000,
    windows=(),
    key_id="key_abcdefghij",
    usage=TokenUsage(100, 200),
    usage_source=UsageSource.REPORTED,
    figures=Figures(50_000, 5_000, 55_000),
    decided_at_ms=int(time.time() * 1000),
)


def request(chronicle: Chronicle) -> None:
    """Do what a request does with its journal."""
    journal = Journal(time.perf_counter, chronicle, method="POST", route="/v1/chat/completions")
    with journal:
        journal.account_id, journal.key_id = ENTRY.account_id, ENTRY.key_id
        for phase in ("access", "body", "parse", "admit", "first_token", "stream", "settle"):
            journal.mark(phase)
        journal.tried("main", "model-at-the-pool", ANSWERED, 200, journal.began)
        journal.reserved_at_ms, journal.model, journal.lane = 1, "smollm2", "default"
        journal.id, journal.status, journal.entry, journal.streamed = "req_0123456789abcdef", 200, ENTRY, True


def cost_us(work: Callable[[], None]) -> float:
    """Return the CPU microseconds of one call, the best of five rounds."""
    found = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(ROUNDS):
            work()
        found.append((time.process_time() - begun) / ROUNDS * 1e6)
    return min(found)


class _Nobody:
    def ended(self, journal: Journal) -> None:
        pass


def main() -> None:
    with Path(os.devnull).open("w") as null:
        logging.getLogger().addHandler(logging.StreamHandler(null))
        set_up_logs("json", "INFO")
        measure(null)


def measure(null: TextIO) -> None:
    written = io.StringIO()

    def write(line: str) -> None:
        null.write(line + "\n")
        written.seek(0)
        written.write(line)

    meter = EmfMeter("jatevo", SystemClock(), write)
    print(f"journal alone       {cost_us(lambda: request(_Nobody())):6.1f} µs")
    log = RequestLog("inference", NoMeter())
    print(f"and its log line    {cost_us(lambda: request(log)):6.1f} µs")
    both = RequestLog("inference", meter)
    print(f"and its metrics     {cost_us(lambda: request(both)):6.1f} µs, {len(written.getvalue())} bytes of metrics")


if __name__ == "__main__":
    main()

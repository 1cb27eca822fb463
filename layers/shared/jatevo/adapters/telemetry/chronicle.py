"""
What is told of a request that is over: its line in the log, its metrics, and its trace where traces are taken.
"""

import logging
from collections.abc import Callable
from typing import Any

from jatevo.application.journal import Journal
from jatevo.application.measuring import measure
from jatevo.application.meter import Meter
from jatevo.domain import metrics
from jatevo.domain.ledger import LedgerEntry, Reason
from jatevo.domain.refusals import Code

_log = logging.getLogger(__name__)

_OUR_FAULT = frozenset({Code.INTERNAL_ERROR, Code.SERVICE_UNAVAILABLE})
_WORTH_A_LOOK = frozenset({Reason.UPSTREAM_BROKE, Reason.NO_ANSWER, Reason.ABANDONED})

type Trace = Callable[[Journal], None]


class RequestLog:
    """Tells of requests to one function. `trace`: takes what is to be traced; None: nothing is."""

    def __init__(self, function: str, meter: Meter, trace: Trace | None = None) -> None:
        self._function = function
        self._meter = meter
        self._trace = trace
        self._cold = True

    def ended(self, journal: Journal) -> None:
        """Tell of a request. A failure to do so is logged, and harms nobody."""
        try:
            if self._cold:
                self._meter.add(metrics.COLD_STARTS)
            measure(journal, self._meter)
            level = _level(journal)
            if _log.isEnabledFor(level):
                # Made by hand: nobody needs to know from where in this file it comes, and finding out takes a while.
                record = logging.LogRecord(_log.name, level, "", 0, _message(journal), None, None)
                record.fields = self._fields(journal)
                _log.handle(record)
            if self._trace is not None and journal.trace_id:
                self._trace(journal)
            self._cold = False
            self._meter.flush()
        except Exception:  # noqa: BLE001 - the outermost edge of what is told of a request
            _log.exception("a request could not be told of")

    def _fields(self, journal: Journal) -> dict[str, Any]:
        """Return what the line says. What is not known of a request is left out of it."""
        fields: dict[str, Any] = {
            "function": self._function,
            "request_id": journal.id,
            "account": journal.account_id,
            "key": journal.key_id,
            "suspicion": journal.suspicion and journal.suspicion.value,
            "operator": journal.operator,
            "model": journal.model,
            "lane": journal.lane,
            "full_lanes": list(journal.full_lanes),
            "status": journal.status,
            "code": journal.code and journal.code.value,
            "failure": journal.failure,
            "stream": journal.streamed or None,
            "routes": [
                {"pool": one.pool, "model": one.model, "outcome": one.outcome, "status": one.status, "ms": ms}
                for one in journal.tries
                for ms in (_ms(one.ended - one.began),)
            ],
            **({} if journal.entry is None else _settled(journal.entry)),
            "ms": {phase: _ms(took) for phase, took in journal.phases.items()},
            "total_ms": _ms(journal.over - journal.began),
            "cold": self._cold or None,
            "trace_id": journal.trace_id,
        }
        return {name: value for name, value in fields.items() if value not in (None, "", [])}


def _settled(entry: LedgerEntry) -> dict[str, Any]:
    usage, figures = entry.usage, entry.figures
    return {
        "outcome": entry.outcome.value,
        "reason": entry.reason.value,
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens or None,
        "output_tokens": usage.output_tokens,
        "usage_source": entry.usage_source.value,
        "charge_nano_usd": figures.charge_nano_usd,
        "cost_nano_usd": figures.cost_nano_usd,
        "margin_nano_usd": figures.margin_nano_usd,
        "reserved_nano_usd": entry.reserved_nano_usd,
        "overrun_nano_usd": figures.overrun_nano_usd or None,
        "exposure_nano_usd": figures.exposure_nano_usd or None,
        "price_version": entry.price_version,
    }


def _level(journal: Journal) -> int:
    """ERROR: something of ours is wrong; WARNING: an upstream is, or money was lost; INFO: all the rest."""
    if journal.failure or journal.code in _OUR_FAULT:
        return logging.ERROR
    entry = journal.entry
    lost = entry is not None and (entry.reason in _WORTH_A_LOOK or entry.figures.overrun_nano_usd > 0)
    return logging.WARNING if lost or journal.status >= 500 else logging.INFO


def _message(journal: Journal) -> str:
    return f"{journal.method} {journal.route} {journal.status or 'left'}"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)

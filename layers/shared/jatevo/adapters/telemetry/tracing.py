"""
Traces: W3C Trace Context from and to clients and upstreams, spans as OpenTelemetry's protocol has them, in JSON.

Loaded only where tracing is turned on. A request is one server span; each try of a route is a client span below it,
with OpenTelemetry's attributes for generative AI; each phase is an internal one. No span holds anybody's words. A trace
that its caller does not sample is passed on and not told of. What cannot be delivered is dropped and logged.

Sources: https://www.w3.org/TR/trace-context/ · https://opentelemetry.io/docs/specs/otlp/ ·
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jatevo.application.journal import ANSWERED, Journal, Tried
from jatevo.application.ports import Clock, Randomness

_log = logging.getLogger(__name__)

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_FAILED = 2
_MOST_WAITING = 1000
_AT_ONCE = 100

type Send = Callable[[bytes], Awaitable[None]]
"""Delivers one export. Raises OSError when it cannot."""


class Tracer:
    """Gives requests their trace, and tells of them when they are over."""

    def __init__(self, send: Send, clock: Clock, randomness: Randomness, *, deployment: str) -> None:
        self._send = send
        self._clock = clock
        self._randomness = randomness
        self._resource = _attributes({"service.name": "jatevo-gateway", "deployment.environment.name": deployment})
        self._waiting: list[dict[str, Any]] = []
        self._sending: asyncio.Task[None] | None = None

    def begin(self, journal: Journal, traceparent: str | None) -> None:
        """Let a request be part of its caller's trace, or of a new one."""
        found = _TRACEPARENT.fullmatch(traceparent or "")
        journal.trace_id = found[1] if found else f"{self._randomness.bits(128) or 1:032x}"
        journal.parent_span_id = found[2] if found else ""
        journal.sampled = int(found[3], 16) & 1 == 1 if found else True
        journal.new_span_id = self._span_id
        journal.span_id = self._span_id()

    def told(self, journal: Journal) -> None:
        """Take the spans of a request that is over, and begin to deliver them."""
        if not journal.sampled or len(self._waiting) >= _MOST_WAITING:
            return
        self._waiting += self._spans(journal)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._deliver())

    async def flush(self) -> None:
        """Wait until everything that was taken is delivered, or dropped."""
        while self._sending is not None and not self._sending.done():
            await asyncio.wait({self._sending})

    async def _deliver(self) -> None:
        while self._waiting:
            spans, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            scope = {"scope": {"name": "jatevo"}, "spans": spans}
            export = {"resourceSpans": [{"resource": {"attributes": self._resource}, "scopeSpans": [scope]}]}
            try:
                await self._send(json.dumps(export, separators=(",", ":")).encode())
            except OSError as error:
                _log.warning("%d spans were not delivered: %s", len(spans), error)

    def _spans(self, journal: Journal) -> list[dict[str, Any]]:
        # Times in the journal are on a clock that only goes forward; here is how far that is from the wall's.
        offset = self._clock.now_ms() / 1000 - journal.over
        spans = [self._request(journal, offset)]
        at = answered = journal.began
        for phase, took in journal.phases.items():
            spans.append(self._span(journal, phase, _INTERNAL, at + offset, at + took + offset, {}))
            at += took
            if phase in {"answer", "stream"}:
                answered = at
        return spans + [self._try(journal, one, answered, offset) for one in journal.tries]

    def _request(self, journal: Journal, offset: float) -> dict[str, Any]:
        attributes: dict[str, str | int] = {
            "http.request.method": journal.method,
            "http.route": journal.route,
            "http.response.status_code": journal.status,
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": journal.model,
            "error.type": journal.code.value if journal.code else journal.failure,
            "jatevo.request_id": journal.id,
            "jatevo.account": journal.account_id,
            "jatevo.key": journal.key_id,
            "jatevo.lane": journal.lane,
        }
        entry = journal.entry
        if entry is not None:
            attributes |= {
                "gen_ai.usage.input_tokens": entry.usage.input_tokens,
                "gen_ai.usage.output_tokens": entry.usage.output_tokens,
                "jatevo.charge_nano_usd": entry.figures.charge_nano_usd,
                "jatevo.cost_nano_usd": entry.figures.cost_nano_usd,
            }
        name = f"{journal.method} {journal.route}"
        span = self._span(journal, name, _SERVER, journal.began + offset, journal.over + offset, attributes)
        return {
            **span,
            "spanId": journal.span_id,
            "parentSpanId": journal.parent_span_id,
            "status": {"code": _FAILED} if journal.status >= 500 or journal.failure else {},
        }

    def _try(self, journal: Journal, one: Tried, answered: float, offset: float) -> dict[str, Any]:
        good = one.outcome == ANSWERED
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": one.pool,
            "gen_ai.request.model": one.model,
            "http.response.status_code": one.status,
            "error.type": "" if good else one.outcome,
        }
        if good and journal.entry is not None:
            attributes["gen_ai.usage.input_tokens"] = journal.entry.usage.input_tokens
            attributes["gen_ai.usage.output_tokens"] = journal.entry.usage.output_tokens
        end = max(one.ended, answered) if good else one.ended
        span = self._span(journal, f"chat {one.model}", _CLIENT, one.began + offset, end + offset, attributes)
        return {**span, "spanId": one.span_id or span["spanId"], "status": {} if good else {"code": _FAILED}}

    def _span(
        self, journal: Journal, name: str, kind: int, begin_s: float, end_s: float, attributes: Mapping[str, str | int]
    ) -> dict[str, Any]:
        return {
            "traceId": journal.trace_id,
            "spanId": self._span_id(),
            "parentSpanId": journal.span_id,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(round(begin_s * 1e9)),
            "endTimeUnixNano": str(round(end_s * 1e9)),
            "attributes": _attributes(attributes),
        }

    def _span_id(self) -> str:
        return f"{self._randomness.bits(64) or 1:016x}"


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    """Return attributes as the protocol's JSON has them; what is not known is left out."""
    return [
        {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
        for key, value in values.items()
        if value not in {"", 0} or "usage" in key
    ]

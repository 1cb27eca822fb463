"""
The witness: what clients got, and whether it was true, whole and fit to be seen.

A clean end comes only after the books are closed, and shows what they say. A refusal names a limit that truly refused.
An error that says nothing was charged is right. No name of an upstream is in any answer.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from jatevo_testing.simulation.gateway.clients import Answered
from jatevo_testing.simulation.gateway.everyone import Everyone
from jatevo_testing.simulation.gateway.goods import SECRETS
from jatevo_testing.simulation.gateway.lambdas import VISITOR_NANO_USD, VISITOR_REQUESTS
from jatevo_testing.simulation.gateway.money import GatewayAuditor
from jatevo_testing.simulation.gateway.questions import Question
from jatevo_testing.simulation.gateway.shelf import Shelf
from jatevo_testing.simulation.gateway.visits import Visits
from jatevo_testing.simulation.images import Image
from jatevo_testing.simulation.wire import Handler

_REMEMBERED_AFTER, _REMEMBERED_MS = 8, 1000
_BUDGET = frozenset({"budget_exhausted", "projected_cost_exceeds_budget", "budget_in_flight"})
_LIMITS = _BUDGET | {"request_quota_exhausted", "concurrency_limit", "rate_limit_exceeded"}
_UPSTREAMS = frozenset({"upstream_error", "upstream_unavailable", "upstream_timeout"})
_STORES = frozenset({"service_unavailable"})
_MISSING = frozenset({"previous_response_not_found", "not_found"})


class Witness:
    """Judges answers. `store_fails`, `upstreams_fail`: whether it may be their fault at the moment."""

    def __init__(
        self,
        auditor: GatewayAuditor,
        everyone: Everyone,
        shelf: Shelf,
        store_fails: Callable[[], bool],
        upstreams_fail: Callable[[], bool],
    ) -> None:
        self._auditor = auditor
        self._everyone = everyone
        self._shelf = shelf
        self._visits = Visits(VISITOR_REQUESTS, VISITOR_NANO_USD)
        self._store_fails = store_fails
        self._upstreams_fail = upstreams_fail
        self._remembered: dict[str, list[Image]] = {}

    def told(self, question: Question, handler: Handler) -> None:
        """A client begins to be told of a refusal: keep what its process remembers at this moment."""
        elapsed_ms = self._auditor.now_ms() - question.asked_at_ms
        within_ms = elapsed_ms + _REMEMBERED_MS
        self._remembered[handler.name] = self._auditor.refused_lately(handler.process, _REMEMBERED_AFTER, within_ms)

    def forget(self, handler: Handler) -> None:
        """An answer has been judged."""
        self._remembered.pop(handler.name, None)

    def judge(self, question: Question, answered: Answered, handler: Handler) -> None:
        """Judge one answer. Raises AssertionError."""
        reached = self._auditor.reached
        for secret in SECRETS:
            assert secret not in answered.seen, f"a client sees {secret!r}"
        if answered.status is None:
            reached["client gone before an answer"] += 1
            return
        assert "x-request-id" in answered.headers
        if question.left:
            reached["client left"] += 1
        elif question.dawdles and not answered.complete:
            reached["client read too slowly"] += 1
        elif answered.status != 200:
            self._refused(question, answered, handler)
        else:
            self._nothing_else_is_held(handler, answered)
            self._answered(question, answered)

    def _answered(self, question: Question, answered: Answered) -> None:
        if question.about is not None:
            self._shelf.check_found(question.about, question.account_id, gone_before=question.gone)
        if question.body is None:
            self._stored(question, answered)
        elif question.stream:
            self._streamed(question, answered)
        else:
            self._whole(question, answered)

    def _stored(self, question: Question, answered: Answered) -> None:
        """Something stored was shown, or deleted."""
        about = question.about
        assert about is not None, "somebody asked for it"
        if question.method == "GET":
            self._shelf.check_same(about, bytes(answered.body))
        else:
            self._shelf.forgotten(about)
        self._auditor.reached[f"stored: {question.method}"] += 1

    def _nothing_else_is_held(self, handler: Handler, answered: Answered) -> None:
        """Of all that was attempted for a request, only what it was given may be held and not decided."""
        for name in handler.attempted:
            held = self._auditor.open_entries(name)
            theirs = name == answered.reservation_id
            assert theirs or not held or name in self._auditor.decisions, f"{name} is held for nobody"

    def _whole(self, question: Question, answered: Answered) -> None:
        assert answered.complete, "an answer in one piece has no end"
        body = json.loads(answered.body)
        self._shown(answered, body["usage"])
        self._ended(question, answered, body)
        self._auditor.reached["answered whole"] += 1

    def _streamed(self, question: Question, answered: Answered) -> None:
        events = answered.events()
        if not answered.complete:
            self._auditor.reached["stream broken, and told so"] += 1
            assert "[DONE]" not in events[-1:], "a stream that broke ends as if it were whole"
            clean = ('"type":"response.completed"', '"type":"message_stop"')
            assert not any(ending in event for event in events for ending in clean)
            return
        last: dict[str, Any] = {}
        if question.responses:
            last = json.loads(events[-1])
            assert last["type"] in {"response.completed", "response.incomplete"}, "a stream ends without its last event"
            self._shown(answered, last["response"]["usage"])
        elif question.messages:
            assert json.loads(events[-1])["type"] == "message_stop", "a stream ends without its last event"
            self._shown(answered, json.loads(events[-2])["usage"])
        else:
            assert events[-1] == "[DONE]", "a stream ends without its marker"
            self._decided(answered)
            if question.include_usage:
                self._shown(answered, json.loads(events[-2])["usage"])
        self._ended(question, answered, last.get("response", {}))
        self._auditor.reached["answered as a stream"] += 1

    def _ended(self, question: Question, answered: Answered, body: dict[str, Any]) -> None:
        """An answer came to a clean end: what a response goes on as, and what a visitor has had."""
        reached = self._auditor.reached
        if question.responses:
            assert question.shown is not None, "a model was asked"
            now_ms = self._auditor.now_ms()
            self._shelf.answered(question.account_id, question.shown, body, stores=question.stores, now_ms=now_ms)
            reached["continued"] += question.about is not None
        elif question.visitor:
            self._visits.answered(question.address, self._auditor.decisions[answered.reservation_id])
            reached["answered a visitor"] += 1
        reached["answered as messages"] += question.messages

    def _decided(self, answered: Answered) -> None:
        decision = self._auditor.decisions.get(answered.reservation_id)
        assert decision is not None, "an answer ends cleanly before it is accounted for"
        assert decision.outcome != "released", "an answer was given for nothing"

    def _shown(self, answered: Answered, usage: Any) -> None:
        """The usage that is shown is what the books have."""
        self._decided(answered)
        decision = self._auditor.decisions[answered.reservation_id]
        assert Decimal(usage["cost_usd"]) * 10**9 == decision.resale, "a client is shown another charge"
        charged = self._auditor.shown.get(answered.reservation_id)
        # Messages tell apart what was read from a cache.
        shown = (
            usage.get("prompt_tokens", usage.get("input_tokens", 0) + usage.get("cache_read_input_tokens", 0)),
            usage.get("completion_tokens", usage.get("output_tokens")),
        )
        assert charged is None or shown == charged[:2], "a client is shown other tokens than it pays"

    def _refused(self, question: Question, answered: Answered, handler: Handler) -> None:
        error = json.loads(answered.body)["error"]
        code = error["code"]
        self._auditor.reached[f"HTTP {answered.status} {code}"] += 1
        assert code != "internal_error", "the gateway failed"
        if code not in _STORES:
            self._nothing_else_is_held(handler, answered)
        if code in _LIMITS:
            self._limited(question, error, handler)
        elif code == "key_disabled":
            self._disabled(question, handler)
        elif code in _UPSTREAMS:
            assert self._upstreams_fail(), f"{code}, and no upstream fails"
            self._not_charged(error, answered)
        elif code in _STORES:
            assert self._store_fails(), "the store works, and yet a request was not served"
        elif code in _MISSING:
            assert question.about is not None, f"nobody asked for {error}"
            self._shelf.check_missing(question.about, question.account_id, self._auditor.now_ms())
        elif code == "invalid_api_key":
            unknown = question.secret is not None and self._everyone.expiries.may_be_unknown(
                question.secret, question.asked_at_ms
            )
            assert unknown, "a key is not known that has long been there"
        else:
            expected = {"invalid_request", "model_not_allowed", "model_not_found"}
            expected |= set() if question.about is None else {"context_length_exceeded"}
            assert code in expected, f"nobody expects {error}"
            self._not_charged(error, answered)

    def _not_charged(self, error: Any, answered: Answered) -> None:
        decision = self._auditor.decisions.get(answered.reservation_id)
        if decision is not None and "not charged" in error["message"]:
            assert decision.charge == 0, "a client is told that it was not charged, and it was"

    def _disabled(self, question: Question, handler: Handler) -> None:
        told = [image for attempt, image in self._auditor.refusals[handler.name] if image.blocked]
        disabled = told or self._everyone.accounts[question.account_id].anything_was_disabled
        assert disabled or self._expired(question), "nothing was disabled, and the key had not expired"

    def _expired(self, question: Question) -> bool:
        """Return whether a key had expired by what its process may have known when it answered."""
        asked_ms, clock_ms = question.asked_at_ms, question.clock_ms + self._auditor.now_ms() - question.asked_at_ms
        expiries = self._everyone.expiries
        expired = question.secret is not None and expiries.may_refuse(question.secret, asked_ms, clock_ms)
        self._auditor.reached["expired"] += expired
        return expired

    def _limited(self, question: Question, error: Any, handler: Handler) -> None:
        """A limit that truly refused, as the store said just now, or within the last second."""
        code = "request_quota_exhausted" if error["code"] == "rate_limit_exceeded" else error["code"]
        for attempt, image in self._auditor.refusals[handler.name]:
            said = image.code_for(attempt.amount, attempt.key_ref, counts=bool(attempt.counts))
            # A request without a cap is judged by the least that would have served it.
            if said == code or (not question.capped and _may_say(image, code)):
                self._auditor.reached["refusal from the store"] += 1
                return
        remembered = self._remembered[handler.name]
        assert any(_may_say(image, code) for image in remembered), f"{error} is not true, and never was"
        self._auditor.reached["refusal from memory"] += 1


def _may_say(image: Image, code: str) -> bool:
    """Return whether a window may have refused some request so."""
    match code:
        case "request_quota_exhausted":
            return image.requests_left < 1
        case "concurrency_limit":
            return len(image.open) >= image.concurrency
        case "budget_in_flight":
            return image.held > 0
        case "budget_exhausted":
            return image.budget_left + image.held <= 0
        case _:
            return True

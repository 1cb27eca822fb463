"""
What each route asks of the use case: how its body is read, and in which format it is answered.

All else is the same for every route, and is in `app`: who calls, the gate, the charge, the errors and the headers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from jatevo.adapters.wire.chat_answer import ChatFormat
from jatevo.adapters.wire.chat_request import parse_chat_request
from jatevo.adapters.wire.compaction_format import CompactionFormat, compaction_request, parse_compaction_request
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.responses_format import ResponsesFormat
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request, parse_responses_request
from jatevo.application.exchange import Formats, InferenceRequest, Keeper
from jatevo.application.histories import Histories
from jatevo.application.inference import Inference
from jatevo.application.responses import Resolved
from jatevo.application.truncation import cut_to_fit, fits
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Refusal

_SMALL_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, ready for the gate, and what keeps its answer, if anything does."""

    request: InferenceRequest
    keeper: Keeper | None = None


class Endpoint(Protocol):
    """One route."""

    formats: Formats
    wording: ErrorWording
    echoed: str | None
    """A request header that its answer repeats, or begins."""
    counts_only: bool
    """It tells how many tokens an input comes to, and asks no model."""

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        """Return what a body asks for, or what is wrong with it. Raises StoreError."""
        ...


class ChatEndpoint:
    """Chat completions."""

    echoed: str | None = None
    counts_only = False

    def __init__(self, wording: ErrorWording) -> None:
        self.formats: Formats = ChatFormat(wording)
        self.wording = wording

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:  # noqa: ARG002 - the body says it all
        request = await _aside(len(raw), lambda: parse_chat_request(raw))
        return request if isinstance(request, Refusal) else Asked(request)


class ResponsesEndpoint:
    """Responses: what a request continues is looked up, and its answer is kept."""

    echoed: str | None = None
    counts_only = False

    def __init__(self, wording: ErrorWording, histories: Histories, inference: Inference) -> None:
        self.formats: Formats = ResponsesFormat(wording)
        self.wording = wording
        self._histories = histories
        self._inference = inference

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        parsed = await _aside(len(raw), lambda: parse_responses_request(raw))
        return parsed if isinstance(parsed, Refusal) else await self._continued(caller, parsed, len(raw))

    async def _continued(self, caller: Caller, parsed: ResponsesRequest, size: int) -> Asked | Refusal:
        resolved = await self._histories.resolve(caller.account.id, parsed.turn)
        if isinstance(resolved, Refusal):
            return resolved
        size = size if not resolved.prior else _SMALL_BODY_BYTES
        request = await _aside(size, lambda: inference_request(parsed, resolved))
        if not isinstance(request, Refusal) and parsed.fields.get("truncation") == "auto":
            request = await self._cut(caller, parsed, resolved, request)
        if isinstance(request, Refusal):
            return request
        return Asked(request, self._histories.keeper(caller.account, parsed.turn, resolved))

    async def _cut(
        self, caller: Caller, parsed: ResponsesRequest, resolved: Resolved, whole: InferenceRequest
    ) -> InferenceRequest | Refusal:
        """Return the request without what its model's context has no room for."""
        model = await self._inference.model_of(caller, whole, self.formats)
        if isinstance(model, Refusal) or fits(model, whole):
            return model if isinstance(model, Refusal) else whole

        def fitting(shorter: Resolved) -> bool:
            request = inference_request(parsed, shorter)
            return not isinstance(request, Refusal) and fits(model, request)

        return await asyncio.to_thread(lambda: inference_request(parsed, cut_to_fit(resolved, fitting)))


class CodexEndpoint(ResponsesEndpoint):
    """The same under the base URL of Codex, which shows errors of one type only and gets its turn's state back."""

    echoed: str | None = "x-codex-turn-state"

    def __init__(self, wording: ErrorWording, histories: Histories, inference: Inference) -> None:
        super().__init__(codex_wording(wording), histories, inference)


class CompactionEndpoint:
    """A history summed up: what the request continues is looked up, and nothing is kept of the answer."""

    echoed: str | None = None
    counts_only = False

    def __init__(self, wording: ErrorWording, histories: Histories) -> None:
        self.formats: Formats = CompactionFormat(wording)
        self.wording = wording
        self._histories = histories

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        parsed = await _aside(len(raw), lambda: parse_compaction_request(raw))
        if isinstance(parsed, Refusal):
            return parsed
        resolved = await self._histories.resolve(caller.account.id, parsed.turn)
        if isinstance(resolved, Refusal):
            return resolved
        size = len(raw) if not resolved.prior else _SMALL_BODY_BYTES
        request = await _aside(size, lambda: compaction_request(parsed, resolved))
        return request if isinstance(request, Refusal) else Asked(request)


class InputTokensEndpoint(ResponsesEndpoint):
    """How many tokens the input of a request comes to."""

    counts_only = True


def codex_wording(wording: ErrorWording) -> ErrorWording:
    """Return a wording with which Codex shows quota errors to its user."""
    return replace(wording, quota_type="usage_limit_reached")


async def _aside[T](size: int, work: Callable[[], T]) -> T:
    """Do the work on a body: a large one takes a while, and must not keep other clients waiting."""
    return work() if size < _SMALL_BODY_BYTES else await asyncio.to_thread(work)

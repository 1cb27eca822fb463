"""
What each route asks of the use case: how its body is read, and in which format it is answered.

All else is the same for every route, and is in `app`: who calls, the gate, the charge, the errors and the headers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jatevo.adapters.wire.chat_request import parse_chat_request
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request, parse_responses_request
from jatevo.application.exchange import Formats, InferenceRequest, Keeper
from jatevo.application.histories import Histories
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

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        """Return what a body asks for, or what is wrong with it. Raises StoreError."""
        ...


class ChatEndpoint:
    """Chat completions."""

    def __init__(self, formats: Formats) -> None:
        self.formats = formats

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:  # noqa: ARG002 - the body says it all
        request = await _aside(len(raw), lambda: parse_chat_request(raw))
        return request if isinstance(request, Refusal) else Asked(request)


class ResponsesEndpoint:
    """Responses: what a request continues is looked up, and its answer is kept."""

    def __init__(self, formats: Formats, histories: Histories) -> None:
        self.formats = formats
        self._histories = histories

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        parsed = await _aside(len(raw), lambda: parse_responses_request(raw))
        return parsed if isinstance(parsed, Refusal) else await self._continued(caller, parsed, len(raw))

    async def _continued(self, caller: Caller, parsed: ResponsesRequest, size: int) -> Asked | Refusal:
        resolved = await self._histories.resolve(caller.account.id, parsed.turn)
        if isinstance(resolved, Refusal):
            return resolved
        size = size if not resolved.prior else _SMALL_BODY_BYTES
        request = await _aside(size, lambda: inference_request(parsed, resolved))
        if isinstance(request, Refusal):
            return request
        return Asked(request, self._histories.keeper(caller.account, parsed.turn, resolved))


async def _aside[T](size: int, work: Callable[[], T]) -> T:
    """Do the work on a body: a large one takes a while, and must not keep other clients waiting."""
    return work() if size < _SMALL_BODY_BYTES else await asyncio.to_thread(work)

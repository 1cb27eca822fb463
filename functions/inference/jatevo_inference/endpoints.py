"""
What each route asks of the use case: how its body is read, and in which format it is answered.

All else is the same for every route, and is in `app`: who calls, the gate, the charge, the errors and the headers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from jatevo.adapters.http.asgi import Scope, bearer_token, header
from jatevo.adapters.wire.chat_answer import ChatFormat
from jatevo.adapters.wire.chat_request import parse_chat_request
from jatevo.adapters.wire.compaction_format import CompactionFormat, compaction_request, parse_compaction_request
from jatevo.adapters.wire.errors import ErrorWording, WireError, wire_error
from jatevo.adapters.wire.messages_errors import messages_error
from jatevo.adapters.wire.messages_events import PING
from jatevo.adapters.wire.messages_format import MessagesFormat
from jatevo.adapters.wire.messages_request import parse_count_request, parse_messages_request
from jatevo.adapters.wire.responses_format import ResponsesFormat
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request, parse_responses_request
from jatevo.adapters.wire.sse import HEARTBEAT
from jatevo.application.admission import InputCount
from jatevo.application.exchange import Formats, InferenceRequest, Keeper
from jatevo.application.histories import Histories
from jatevo.application.inference import Inference
from jatevo.application.responses import Resolved
from jatevo.application.truncation import cut_to_fit, fits
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Refusal

_SMALL_BODY_BYTES = 128 * 1024
"""What is read within 5 ms at worst, many small messages: a thread, too, may keep the others waiting that long."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, ready for the gate, and what keeps its answer, if anything does."""

    request: InferenceRequest
    keeper: Keeper | None = None


class Endpoint(Protocol):
    """One route."""

    formats: Formats
    echoed: str | None
    """A request header that its answer repeats, or begins."""
    counts_only: bool
    """It tells how many tokens an input comes to, and asks no model."""
    heartbeat: bytes
    """What a stream says when there is nothing to say for long."""
    id_headers: tuple[str, ...]
    """The headers that carry the id of a request."""

    def key(self, scope: Scope) -> str | None:
        """Return the key that a request comes with."""
        ...

    def error(self, refusal: Refusal, now_unix_s: int, request_id: str) -> WireError:
        """Return the HTTP form of a refusal."""
        ...

    def counted(self, count: InputCount) -> dict[str, Any]:
        """Return the body that tells how many tokens an input comes to."""
        ...

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:
        """Return what a body asks for, or what is wrong with it. Raises StoreError."""
        ...


class OpenAIManners:
    """What all routes of OpenAI's API share."""

    echoed: str | None = None
    counts_only = False
    heartbeat = HEARTBEAT
    id_headers: tuple[str, ...] = ("x-request-id",)

    def __init__(self, wording: ErrorWording) -> None:
        self._wording = wording

    def key(self, scope: Scope) -> str | None:
        return bearer_token(scope)

    def error(self, refusal: Refusal, now_unix_s: int, request_id: str) -> WireError:  # noqa: ARG002 - headers tell it
        return wire_error(refusal, now_unix_s, self._wording)

    def counted(self, count: InputCount) -> dict[str, Any]:
        return {"object": "response.input_tokens", "input_tokens": count.input_tokens, "estimated": count.estimated}


class ChatEndpoint(OpenAIManners):
    """Chat completions."""

    def __init__(self, wording: ErrorWording) -> None:
        super().__init__(wording)
        self.formats: Formats = ChatFormat(wording)

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:  # noqa: ARG002 - the body says it all
        request = await _aside(len(raw), lambda: parse_chat_request(raw))
        return request if isinstance(request, Refusal) else Asked(request)


class ResponsesEndpoint(OpenAIManners):
    """Responses: what a request continues is looked up, and its answer is kept."""

    def __init__(self, wording: ErrorWording, histories: Histories, inference: Inference) -> None:
        super().__init__(wording)
        self.formats: Formats = ResponsesFormat(wording)
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


class CompactionEndpoint(OpenAIManners):
    """A history summed up: what the request continues is looked up, and nothing is kept of the answer."""

    def __init__(self, wording: ErrorWording, histories: Histories) -> None:
        super().__init__(wording)
        self.formats: Formats = CompactionFormat(wording)
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


class MessagesEndpoint:
    """Anthropic's Messages: its keys, errors and heartbeats have forms of their own."""

    echoed: str | None = None
    counts_only = False
    heartbeat = PING
    id_headers: tuple[str, ...] = ("x-request-id", "request-id")

    def __init__(self, wording: ErrorWording) -> None:
        self.formats: Formats = MessagesFormat(wording)
        self._wording = wording

    def key(self, scope: Scope) -> str | None:
        return header(scope, "x-api-key") or bearer_token(scope)

    def error(self, refusal: Refusal, now_unix_s: int, request_id: str) -> WireError:
        return messages_error(refusal, now_unix_s, self._wording, request_id)

    def counted(self, count: InputCount) -> dict[str, Any]:
        return {"input_tokens": count.input_tokens}

    async def asked(self, caller: Caller, raw: bytes) -> Asked | Refusal:  # noqa: ARG002 - the body says it all
        request = await _aside(len(raw), lambda: self._parsed(raw))
        return request if isinstance(request, Refusal) else Asked(request)

    def _parsed(self, raw: bytes) -> InferenceRequest | Refusal:
        return parse_messages_request(raw)


class CountTokensEndpoint(MessagesEndpoint):
    """How many tokens the input of a message comes to."""

    counts_only = True

    def _parsed(self, raw: bytes) -> InferenceRequest | Refusal:
        return parse_count_request(raw)


def codex_wording(wording: ErrorWording) -> ErrorWording:
    """Return a wording with which Codex shows quota errors to its user."""
    return replace(wording, quota_type="usage_limit_reached")


async def _aside[T](size: int, work: Callable[[], T]) -> T:
    """Do the work on a body: a large one takes a while, and must not keep other clients waiting."""
    return work() if size < _SMALL_BODY_BYTES else await asyncio.to_thread(work)

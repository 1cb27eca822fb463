"""
Who asks, and an answer with both counters.

A key disabled a moment ago is refused here as it is by the gate, because the window that is read for the counters names
it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from jatevo.adapters.http.asgi import bearer_token, source_ip
from jatevo.adapters.http.request_log import journal_of
from jatevo.adapters.http.starlette_errors import Errors
from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.headers import limit_headers, standing_of, without_budget
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal
from jatevo.domain.windows import EVERY_KEY, Window
from jatevo_account.services import AccountServices

_DISABLED = Refusal(Code.KEY_DISABLED, "This API key is disabled. Use another one or create a new key.")

type Answered = Callable[[Caller, Window, Window | None], Awaitable[dict[str, Any] | Refusal]]


class Callers:
    """Answers known keys and refuses all others."""

    def __init__(self, services: AccountServices, errors: Errors) -> None:
        self._services = services
        self._errors = errors

    async def answer(self, request: Request, answered: Answered) -> Response:
        """Answer a known key, with both counters; refuse any other."""
        scope = request.scope
        caller = await self._services.access.authenticate(bearer_token(scope), source_ip(scope), journal_of(scope))
        if isinstance(caller, Refusal):
            return self._errors.answer(caller)
        window = await self._services.counters.of_account(caller.account)
        of_key = await self._services.counters.of_key(caller.key)
        month = await self._services.counters.of_month(caller.account)
        binding = [one for one in (window, month) if one is not None]
        if caller.reseller_margin_bps is not None:
            binding = [without_budget(one) for one in binding]
        if of_key is not None:
            binding.insert(0, of_key)
        headers = limit_headers(standing_of(*binding), self._services.clock.now_ms() // 1000)
        answer: dict[str, Any] | Refusal = _DISABLED
        if not window.blocked & {EVERY_KEY, caller.key.ref}:
            answer = await answered(caller, window, of_key)
        if isinstance(answer, Refusal):
            return self._errors.answer(answer, headers)
        headers["cache-control"] = "no-store"
        return Response(json_bytes(answer), headers=headers, media_type="application/json")

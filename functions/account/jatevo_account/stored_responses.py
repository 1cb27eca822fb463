"""
Stored responses: `GET` and `DELETE /v1/responses/{id}`, its input items, `cancel`, and what is not served of it.

Another account's response, a deleted one and one past its time are the same 404.
"""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from jatevo.adapters.wire.item_pages import include_refusal, page_of, paging_of
from jatevo.application.responses import ResponseRecord
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal, shown
from jatevo.domain.windows import Window
from jatevo_account.callers import Callers
from jatevo_account.routing import Routed
from jatevo_account.services import AccountServices

_NOT_IN_BACKGROUND = Refusal(
    Code.INVALID_REQUEST, "Cannot cancel a synchronous response: responses are not made in the background."
)
_NOT_STREAMED = Refusal(
    Code.UNSUPPORTED_PARAMETER, "A stored response is not streamed again: get it without 'stream'.", param="stream"
)


def stored_responses(services: AccountServices, callers: Callers) -> list[Routed]:
    """Return the routes."""
    routes = _StoredResponses(services, callers)
    return [
        ("GET", "/v1/responses/{response_id}", routes.get),
        ("DELETE", "/v1/responses/{response_id}", routes.delete),
        ("GET", "/v1/responses/{response_id}/input_items", routes.input_items),
        ("POST", "/v1/responses/{response_id}/cancel", routes.cancel),
    ]


class _StoredResponses:
    def __init__(self, services: AccountServices, callers: Callers) -> None:
        self._store = services.histories.responses
        self._callers = callers

    async def get(self, request: Request, response_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            query = request.query_params
            if (refusal := include_refusal(query.multi_items())) is not None:
                return refusal
            if query.get("stream", "false") != "false" or "starting_after" in query:
                return _NOT_STREAMED
            record = await self._record(caller, response_id)
            return record if isinstance(record, Refusal) else dict(record.response)

        return await self._callers.answer(request, answered)

    async def delete(self, request: Request, response_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            if not await self._store.delete(caller.account.id, response_id):
                return _not_found(response_id)
            return {"id": response_id, "object": "response", "deleted": True}

        return await self._callers.answer(request, answered)

    async def input_items(self, request: Request, response_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            paging = paging_of(request.query_params.multi_items())
            if isinstance(paging, Refusal):
                return paging
            record = await self._record(caller, response_id)
            if isinstance(record, Refusal):
                return record
            return page_of((*record.prior_items, *record.own_items), paging)

        return await self._callers.answer(request, answered)

    async def cancel(self, request: Request, response_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> Refusal:
            record = await self._record(caller, response_id)
            return record if isinstance(record, Refusal) else _NOT_IN_BACKGROUND

        return await self._callers.answer(request, answered)

    async def _record(self, caller: Caller, response_id: str) -> ResponseRecord | Refusal:
        return await self._store.get(caller.account.id, response_id) or _not_found(response_id)


def _not_found(response_id: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"Response with id '{shown(response_id)}' not found.")

"""
Conversations: `/v1/conversations` and what is in them.

Another account's conversation, a deleted one and one past its time are the same 404.
"""

from typing import Any

from fastapi import Request
from starlette.responses import Response

from jatevo.adapters.http.asgi import BodyTooLarge, read_body
from jatevo.adapters.wire.checks import MAX_BODY_BYTES
from jatevo.adapters.wire.conversation_request import ConversationBody, conversation_body
from jatevo.adapters.wire.item_pages import MOST_LIMIT, Paging, include_refusal, page_of, paging_of, shown_item
from jatevo.application.conversations import Conversation
from jatevo.application.histories import conversation_not_found
from jatevo.application.keeping import with_ids
from jatevo.application.responses import Item, TooLargeToKeep
from jatevo.domain import ids
from jatevo.domain.accounts import Caller
from jatevo.domain.refusals import Code, Refusal, shown
from jatevo.domain.windows import Window
from jatevo_account.callers import Callers
from jatevo_account.routing import Routed
from jatevo_account.services import AccountServices

_TOO_LARGE = Refusal(Code.REQUEST_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES // 1024**2} MB.")
_FULL = Refusal(
    Code.INVALID_VALUE, "The conversation is too large for these items. Begin a new one with what matters.", "items"
)
_NOTHING_KEPT = Refusal(Code.INVALID_REQUEST, "Nothing is kept for this account, so it has no conversations.")


def conversations(services: AccountServices, callers: Callers) -> list[Routed]:
    """Return the routes."""
    routes = _Conversations(services, callers)
    one, items = "/v1/conversations/{conversation_id}", "/v1/conversations/{conversation_id}/items"
    return [
        ("POST", "/v1/conversations", routes.create),
        ("GET", one, routes.get),
        ("POST", one, routes.describe),
        ("DELETE", one, routes.delete),
        ("GET", items, routes.items),
        ("POST", items, routes.add),
        ("GET", f"{items}/{{item_id}}", routes.item),
        ("DELETE", f"{items}/{{item_id}}", routes.remove_item),
    ]


class _Conversations:
    def __init__(self, services: AccountServices, callers: Callers) -> None:
        self._services = services
        self._store = services.histories.conversations
        self._callers = callers

    async def create(self, request: Request) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            body = await _body(request)
            if isinstance(body, Refusal):
                return body
            if caller.account.zdr:
                return _NOTHING_KEPT
            name = ids.conversation_id(self._services.randomness.bits(24 * 5))
            now = self._services.clock.now_ms() // 1000
            made = Conversation(name, caller.account.id, now, body.metadata or {})
            try:
                await self._store.create(made, self._named(body.items or ()))
            except TooLargeToKeep:
                return _FULL
            return _shown(made)

        return await self._callers.answer(request, answered)

    async def get(self, request: Request, conversation_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            found = await self._store.read(caller.account.id, conversation_id)
            return conversation_not_found(conversation_id) if found is None else _shown(found)

        return await self._callers.answer(request, answered)

    async def describe(self, request: Request, conversation_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            body = await _body(request, needs="metadata")
            if isinstance(body, Refusal):
                return body
            changed = await self._store.describe(caller.account.id, conversation_id, body.metadata or {})
            return conversation_not_found(conversation_id) if changed is None else _shown(changed)

        return await self._callers.answer(request, answered)

    async def delete(self, request: Request, conversation_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            if not await self._store.delete(caller.account.id, conversation_id):
                return conversation_not_found(conversation_id)
            return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}

        return await self._callers.answer(request, answered)

    async def items(self, request: Request, conversation_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            paging = paging_of(request.query_params.multi_items())
            if isinstance(paging, Refusal):
                return paging
            items = await self._store.items(caller.account.id, conversation_id)
            return conversation_not_found(conversation_id) if items is None else page_of(items, paging)

        return await self._callers.answer(request, answered)

    async def add(self, request: Request, conversation_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            body = await _body(request, needs="items")
            if isinstance(body, Refusal):
                return body
            items = self._named(body.items or ())
            there = await self._store.items(caller.account.id, conversation_id)
            if there is None:
                return conversation_not_found(conversation_id)
            if twice := {item["id"] for item in there} & {item["id"] for item in items}:
                detail = f"There is an item '{shown(min(twice))}' in this conversation already."
                return Refusal(Code.INVALID_VALUE, detail, param="items")
            try:
                if not await self._store.add(caller.account.id, conversation_id, items):
                    return conversation_not_found(conversation_id)
            except TooLargeToKeep:
                return _FULL
            return page_of(items, Paging(MOST_LIMIT, newest_first=False))

        return await self._callers.answer(request, answered)

    async def item(self, request: Request, conversation_id: str, item_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            if (refusal := include_refusal(request.query_params.multi_items())) is not None:
                return refusal
            items = await self._store.items(caller.account.id, conversation_id)
            if items is None:
                return conversation_not_found(conversation_id)
            found = next((item for item in items if item["id"] == item_id), None)
            return _item_not_found(item_id) if found is None else shown_item(found)

        return await self._callers.answer(request, answered)

    async def remove_item(self, request: Request, conversation_id: str, item_id: str) -> Response:
        async def answered(caller: Caller, *_: Window | None) -> dict[str, Any] | Refusal:
            found = await self._store.read(caller.account.id, conversation_id)
            if found is None:
                return conversation_not_found(conversation_id)
            if not await self._store.remove_item(caller.account.id, conversation_id, item_id):
                return _item_not_found(item_id)
            return _shown(found)

        return await self._callers.answer(request, answered)

    def _named(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """Give ids to items that have none, of a name that no response has."""
        bits = self._services.randomness.bits(64)
        return with_ids(items, f"conv_{ids.reservation_id(self._services.clock.now_ms(), bits)}")


async def _body(request: Request, *, needs: str | None = None) -> ConversationBody | Refusal:
    try:
        return conversation_body(await read_body(request.receive, MAX_BODY_BYTES), needs=needs)
    except BodyTooLarge:
        return _TOO_LARGE


def _shown(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created_at_unix_s,
        "metadata": dict(conversation.metadata),
    }


def _item_not_found(item_id: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"Item with id '{shown(item_id)}' not found.")

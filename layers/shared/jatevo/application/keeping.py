"""
Keeping a response: once it is settled and before its client has its end, so that going on from it works at once.

What cannot be kept is still answered, as it is paid for: the answer then says `store: false`, and nothing is found
under its id, unless the store had taken it and only its answer was lost. A process that dies between settling and
keeping leaves a charged response that was never kept, whose client saw no end of it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jatevo.application.conversations import ConversationStore
from jatevo.application.ports import Clock, StoreError
from jatevo.application.responses import RECORDS_KEPT_S, Item, Resolved, ResponseRecord, ResponseStore, TooLargeToKeep
from jatevo.domain.accounts import Account
from jatevo.domain.ids import item_id

_log = logging.getLogger(__name__)

_OWN_PLACES = 10_000
"""Places of a response's own input begin here, so that they are none of its output's."""
_KINDS = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


@dataclass(frozen=True, slots=True)
class ResponseKeeper:
    """The `Keeper` of one request's answer."""

    responses: ResponseStore
    conversations: ConversationStore
    clock: Clock
    account: Account
    conversation_id: str | None
    resolved: Resolved

    async def keep(self, answer: Mapping[str, Any]) -> bool:
        if self.account.zdr:
            return False
        record = self._record(answer)
        try:
            if record.conversation_id is None:
                await self.responses.put(record)
                return True
            items = with_ids((*record.own_items, *answer["output"]), record.id)
            return await self.conversations.add(record.account_id, record.conversation_id, items, record)
        except TooLargeToKeep as error:
            _log.warning("response %s is too large to keep: %s", record.id, error)
        except StoreError as error:
            _log.error("response %s could not be kept: %s", record.id, error)
        return False

    def _record(self, answer: Mapping[str, Any]) -> ResponseRecord:
        now = self.clock.now_ms() // 1000
        return ResponseRecord(
            id=answer["id"],
            account_id=self.account.id,
            created_at_unix_s=now,
            model=answer["model"],
            response=answer,
            own_items=with_ids(self.resolved.own, answer["id"]),
            prior_items=self.resolved.prior,
            expires_at_unix_s=now + RECORDS_KEPT_S,
            conversation_id=self.conversation_id,
        )


def with_ids(items: Sequence[Item], owner_id: str) -> tuple[Item, ...]:
    """Return items each of which has an id: its own, or one that names the response or conversation it came with."""
    return tuple(
        item
        if isinstance(item.get("id"), str)
        else {**item, "id": item_id(_KINDS.get(item["type"], "item"), owner_id, _OWN_PLACES + place)}
        for place, item in enumerate(items)
    )

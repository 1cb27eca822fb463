"""
`POST /v1/responses/compact`: a history summed up by its model, as published: all messages of the user, then one item
that stands for everything.

It is a request like any other, to the same model and engines: it passes the gate and is charged. Nothing of it is
stored. An answer without a word in it is none: its client would lose what it wants to keep.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jatevo.adapters.json_text import json_bytes
from jatevo.adapters.wire.checks import parsed, unsupported
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.responses_compaction import compaction_item
from jatevo.adapters.wire.responses_events import Events
from jatevo.adapters.wire.responses_format import ResponsesFormat
from jatevo.adapters.wire.responses_object import shown_usage
from jatevo.adapters.wire.responses_readers import Source
from jatevo.adapters.wire.responses_request import ResponsesRequest, inference_request, responses_request
from jatevo.adapters.wire.responses_retold import Retold
from jatevo.application.exchange import InferenceRequest, Reading
from jatevo.application.keeping import with_ids
from jatevo.application.responses import Item, Resolved
from jatevo.domain.catalogue import Pool
from jatevo.domain.ids import reserved_at_ms, response_id
from jatevo.domain.ledger import LedgerEntry
from jatevo.domain.refusals import Refusal

_FIELDS = frozenset({"model", "input", "instructions", "previous_response_id", "prompt_cache_key", "service_tier"})
_KEPT = "messages"
_ASKED: Item = {
    "type": "message",
    "role": "user",
    "content": (
        "Sum up the conversation so far for somebody who has to go on with it and cannot read it: what is wanted and "
        "under which conditions, what was decided and why, what was found out and done, with the names, numbers and "
        "paths that matter, and what remains to be done. Be brief and leave nothing out that is still needed. Answer "
        "with the summary alone."
    ),
}


def parse_compaction_request(raw: bytes) -> ResponsesRequest | Refusal:
    """Return what a body wants summed up, or the refusal that names what is wrong with it."""
    return parsed(raw, "'model' and 'input'", _request)


def compaction_request(request: ResponsesRequest, resolved: Resolved) -> InferenceRequest | Refusal:
    """Return what is asked of the model, or why it cannot be."""
    asked = inference_request(request, replace(resolved, own=(*resolved.own, _ASKED)))
    if isinstance(asked, Refusal):
        return asked
    kept = [item for item in (*resolved.prior, *resolved.own) if item.get("role") == "user"]
    return replace(asked, echo={_KEPT: kept})


class CompactionFormat:
    """Compactions, by pool."""

    input_field = "input"

    def __init__(self, wording: ErrorWording) -> None:
        self._responses = ResponsesFormat(wording)

    def for_pool(self, pool: Pool) -> "_Compaction | None":
        engine = self._responses.for_pool(pool)
        return None if engine is None else _Compaction(engine)


class _Compaction(Retold):
    """Never streamed: the published answer is one object."""

    def stream_reader(self, request: InferenceRequest, reservation_id: str) -> Any:  # pragma: no cover
        raise NotImplementedError

    def answer_reader(self, request: InferenceRequest, reservation_id: str) -> "_CompactionReader":
        return _CompactionReader(self.engine.source(request, reservation_id, Events()), request, reservation_id)


class _CompactionReader:
    """Reads a summary."""

    def __init__(self, source: Source, request: InferenceRequest, reservation_id: str) -> None:
        self._source = source
        self._kept = request.echo[_KEPT]
        self._id = response_id(reservation_id)
        self._created_at = reserved_at_ms(reservation_id) // 1000

    def read(self, data: bytes) -> Reading:
        reading = self._source.whole(data)
        return reading if self._summary() else replace(reading, garbled=True)

    def body(self, entry: LedgerEntry) -> bytes:
        messages = [_shown(item) for item in with_ids(self._kept, self._id)]
        answer = {
            "id": self._id,
            "object": "response.compaction",
            "created_at": self._created_at,
            "output": [*messages, compaction_item(self._id, len(messages), self._summary())],
            "usage": shown_usage(entry),
        }
        return json_bytes(answer)

    def settled(self, entry: LedgerEntry) -> None:
        """Compactions are not kept."""

    def unkept(self) -> None:
        """Compactions never are."""

    def _summary(self) -> str:
        parts = [part for item in self._source.output if item["type"] == "message" for part in item["content"]]
        return "".join(part["text"] for part in parts if part["type"] == "output_text").strip()


def _request(body: dict[str, Any]) -> ResponsesRequest:
    for name in body:
        if name not in _FIELDS:
            raise unsupported(name)
    return responses_request({**body, "store": False})


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of the user as one of a list of items: its content in parts."""
    content = message["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {**message, "status": "completed", "content": parts}

"""
Other formats over the engines of Responses: a request asked as one, its answer told in other words.

Whatever a pool speaks, an engine takes its answers apart into items; who retells them needs nothing but those.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from jatevo.adapters.wire.responses_events import Events
from jatevo.adapters.wire.responses_readers import Source
from jatevo.application.exchange import InferenceRequest
from jatevo.domain.catalogue import Pool
from jatevo.domain.refusals import Refusal


class Engine(Protocol):
    """A format of Responses over one kind of upstream, but for how answers are told."""

    path: str

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None: ...

    def upstream_body(
        self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int
    ) -> Mapping[str, Any]: ...

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any] | None: ...

    def says_too_long(self, body: bytes) -> bool: ...

    def source(self, request: InferenceRequest, reservation_id: str, events: Events) -> Source:
        """Return what takes the upstream's answer apart; what it tells of it on the way goes through `events`."""
        ...


class Retold:
    """An engine, for a format that has readers of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.path = engine.path

    def refusal(self, request: InferenceRequest, pool: Pool) -> Refusal | None:
        return self.engine.refusal(request, pool)

    def upstream_body(self, request: InferenceRequest, pool: Pool, *, model: str, output_cap: int) -> Mapping[str, Any]:
        return self.engine.upstream_body(request, pool, model=model, output_cap=output_cap)

    def countable(self, request: InferenceRequest, pool: Pool) -> Mapping[str, Any] | None:
        return self.engine.countable(request, pool)

    def says_too_long(self, body: bytes) -> bool:
        return self.engine.says_too_long(body)

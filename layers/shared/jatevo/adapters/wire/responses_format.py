"""
The Responses format over every kind of upstream: as it is where a pool speaks it, translated where it speaks chat.

The client cannot tell which: both engines give the same events, the same fields and the same errors.
"""

from jatevo.adapters.wire.chat_answer import CHAT
from jatevo.adapters.wire.errors import ErrorWording
from jatevo.adapters.wire.responses_native import NativeResponses
from jatevo.adapters.wire.responses_translated import TranslatedResponses
from jatevo.domain.catalogue import Pool

RESPONSES = "responses"
"""What pools list in `wire` that speak this format."""


class ResponsesFormat:
    """Responses, by pool."""

    input_field = "input"

    def __init__(self, wording: ErrorWording) -> None:
        self._native = NativeResponses(wording)
        self._translated = TranslatedResponses(wording)

    def for_pool(self, pool: Pool) -> NativeResponses | TranslatedResponses | None:
        if RESPONSES in pool.wire:
            return self._native
        return self._translated if CHAT in pool.wire else None

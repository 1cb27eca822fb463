"""
What clients know to be stored: responses as they got them, and what must be found under their ids.

A stored response is found by its account, as it was answered, from its answer on until it is deleted; by nobody else,
and never again afterwards. One that its client did not want stored is found by nobody.
"""

import json
from collections import deque
from dataclasses import dataclass
from typing import Any

_MOST = 60
"""The latest that are remembered: older ones are stored, and nobody asks for them."""
_KEPT_MS = 29 * 86_400_000
"""They are kept for thirty days, of clocks that are a little off."""


@dataclass
class Kept:
    """A response as its client got it. `text`: all that a model was shown and said up to its end."""

    id: str
    account_id: str
    answer: dict[str, Any]
    text: str
    at_ms: int
    stored: bool
    forgetting: bool = False
    """Somebody has begun to delete it."""


class Shelf:
    """All that clients of a history know of."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque(maxlen=_MOST)
        self._gone: deque[Kept] = deque(maxlen=_MOST // 6)

    @property
    def known(self) -> list[Kept]:
        """What somebody may ask for: what is stored, and some of what is not, or no longer."""
        return [*self._kept, *self._gone]

    def answered(self, account_id: str, shown: str, answer: dict[str, Any], *, stores: bool, now_ms: int) -> None:
        """Take a response that came to its end. Only what was to be stored may say that it is."""
        assert stores or not answer["store"], "a response is stored against its client's wish"
        if stores and not answer["store"]:
            # The store failed: whether it has it all the same, nobody knows.
            return
        said = "".join(part.get("text", "") for item in answer["output"] for part in item.get("content", ()))
        kept = Kept(answer["id"], account_id, answer, shown + said, now_ms, stored=answer["store"])
        (self._kept if kept.stored else self._gone).append(kept)

    def forgotten(self, kept: Kept) -> None:
        """Note that a client was told that a response is deleted."""
        kept.stored = False
        if kept in self._kept:
            self._kept.remove(kept)
            self._gone.append(kept)

    @staticmethod
    def check_found(kept: Kept, account_id: str, *, gone_before: bool) -> None:
        """Somebody was shown a response, or went on from it. `gone_before`: it was gone when it was asked for."""
        assert kept.account_id == account_id, "an account is served another account's response"
        assert not gone_before, "a response is found that is not stored"

    @staticmethod
    def check_missing(kept: Kept, account_id: str, now_ms: int) -> None:
        """Somebody was told that there is no such response."""
        there = kept.stored and not kept.forgetting and now_ms < kept.at_ms + _KEPT_MS
        assert kept.account_id != account_id or not there, "a response that is stored is not found"

    @staticmethod
    def check_same(kept: Kept, body: bytes) -> None:
        assert json.loads(body) == kept.answer, "a stored response is not what was answered"

"""
What this process remembers of windows for a moment, so that floods do not burn write units.

A refused conditional update costs a write. After a few refusals of one window within a second, further requests are
judged by the pure rules against the window as the last refusal showed it, until that second is over or a request of
this process has settled in it. A hold that would have been taken always goes to the store.
"""

from dataclasses import dataclass

from jatevo.domain.windows import Hold, Refused, Window, WindowKey, bound_against

_WRITTEN_REFUSALS = 8
_MEMORY_MS = 1000
_SEEN_MS = 60_000
_MOST_KEPT = 10_000


@dataclass(slots=True)
class _Burst:
    since_ms: int
    refusals: int
    window: Window


class RefusalMemory:
    """Recent refusals and recently seen windows of this process."""

    def __init__(self) -> None:
        self._bursts: dict[WindowKey, _Burst] = {}
        self._seen: dict[str, tuple[int, Window]] = {}

    def note(self, refused: Refused, now_ms: int) -> None:
        """Remember a refusal that the store gave."""
        self.saw(refused.window, now_ms)
        burst = self._bursts.get(refused.window.key)
        if burst is None or now_ms - burst.since_ms >= _MEMORY_MS:
            _bound(self._bursts)
            self._bursts[refused.window.key] = _Burst(now_ms, 1, refused.window)
        else:
            burst.refusals += 1
            burst.window = refused.window

    def recall(self, key: WindowKey, hold: Hold, now_ms: int) -> Refused | None:
        """Return the refusal that `hold` would meet, if a burst of refusals is under way; None: ask the store."""
        burst = self._bursts.get(key)
        if burst is None or burst.refusals < _WRITTEN_REFUSALS or now_ms - burst.since_ms >= _MEMORY_MS:
            return None
        bound = bound_against(burst.window, hold)
        return None if bound is None else Refused(bound, burst.window)

    def forget(self, key: WindowKey) -> None:
        """Drop what is remembered of a window's refusals: something has just been given back."""
        self._bursts.pop(key, None)

    def saw(self, window: Window, now_ms: int) -> None:
        """Remember how a window looked."""
        _bound(self._seen)
        self._seen[window.key.owner] = (now_ms, window)

    def last_seen(self, key: WindowKey, now_ms: int) -> Window | None:
        """Return how a window looked less than a minute ago."""
        at_ms, window = self._seen.get(key.owner, (0, None))
        return window if window is not None and window.key == key and now_ms - at_ms < _SEEN_MS else None


def _bound(kept: dict[WindowKey, _Burst] | dict[str, tuple[int, Window]]) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()

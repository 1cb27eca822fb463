"""
Slows an account down whose requests are rejected by models one after the other.

Such a request gives its money back and costs an upstream call: many in a row slow that account, not the pool. Kept in
the process; an answer forgets it.
"""

import asyncio

from jatevo.domain.ledger import Reason

_TOLERATED = 5
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 2.0
_MOST_KEPT = 10_000


class ClientErrors:
    """Counts rejected requests in a row, by account."""

    def __init__(self) -> None:
        self._in_a_row: dict[str, int] = {}

    def ended(self, account_id: str, reason: Reason) -> None:
        """Take note of how a request of an account ended."""
        if reason is Reason.ANSWERED:
            self._in_a_row.pop(account_id, None)
        elif reason is Reason.CLIENT_ERROR:
            if len(self._in_a_row) >= _MOST_KEPT:
                self._in_a_row.clear()
            self._in_a_row[account_id] = self._in_a_row.get(account_id, 0) + 1

    def delay_s(self, account_id: str) -> float:
        """Return how long the account's next request has to wait."""
        excess = self._in_a_row.get(account_id, 0) - _TOLERATED
        return 0.0 if excess < 0 else min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(excess, 8))

    async def hold_back(self, account_id: str) -> None:
        """Wait as long as the account has to."""
        delay_s = self.delay_s(account_id)
        if delay_s:
            await asyncio.sleep(delay_s)

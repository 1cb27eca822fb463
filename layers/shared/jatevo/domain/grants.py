"""
Grants: what operators add to an account's balance, and take back from it. Never edited.

Invariant: the balance's limit is the sum of its grants.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant; a negative amount is a correction. `id` is the operator's own: repeating it grants nothing more."""

    id: str
    account_id: str
    amount_nano_usd: int
    reason: str
    operator: str
    at_unix_s: int
    order: str = ""
    """Random, of the call that made it: so that one whose answer was lost is told from one that is repeated."""

    def same_as(self, other: "Grant") -> bool:
        """Return whether this is the other one, asked for again."""
        return (self.id, self.account_id, self.amount_nano_usd) == (other.id, other.account_id, other.amount_nano_usd)

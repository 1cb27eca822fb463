"""
Lanes: classes of service that requests travel in. Their ids are public.

Everybody may use `shared`. Any other lane is reserved for the accounts that name it, and may have a part of a pool's
concurrency for itself: a guaranteed share is never lent, so it is free at any moment whatever the shared load is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jatevo.domain.windows import Limits

SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Lane:
    """
    One lane. What is None has no rule of its own: all pools and models that are not private, the default margin.

    `limits` bound the lane as a whole: requests and dollars of a UTC day, requests at once.
    """

    id: str
    pools: frozenset[str] | None = None
    models: frozenset[str] | None = None
    margin_bps: int | None = None
    limits: Limits | None = None
    guaranteed: Mapping[str, int] = field(default_factory=dict)
    """Requests at once that each pool keeps free for this lane."""


def margin_for(account_margin_bps: int | None, lane: Lane, default_bps: int) -> int:
    """Return the margin of a request: the account's own, else its lane's, else the gateway's."""
    if account_margin_bps is not None:
        return account_margin_bps
    return default_bps if lane.margin_bps is None else lane.margin_bps


def split_name(name: str) -> tuple[str | None, str]:
    """Return the lane that a model's name pins, or None, and the model's own id."""
    lane, slash, model = name.partition("/")
    return (lane, model) if slash else (None, name)

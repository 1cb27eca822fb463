"""
Routing: in which order the routes of a model are tried, and why. A pure function of what is known at that moment.

Guarantees: the same facts give the same order. Routes of a lower `priority` come first; among equals, weighted
rendezvous hashing spreads keys in proportion to `weight`, and a pool that leaves or returns moves only its own keys.
A request with a conversation or a cache key goes where the last one went, so that the upstream's prompt cache hits;
one without goes where its seed says. What cannot be asked now is passed over, with its reason.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jatevo.domain.catalogue import Route


class Standing(StrEnum):
    """What is known of a pool at this moment, for this account."""

    WELL = "well"
    PROBE = "probe"
    """Its cooldown is over: one request may find out whether it has recovered."""
    DOUBTED = "doubted"
    """This account's requests failed there lately: last choice."""
    COOLING = "cooling"
    """It failed, or asked not to be asked for a while."""
    FULL = "full"
    """It has as many requests under way as it takes from this lane."""
    DRAINED = "drained"
    """An operator has taken it out of use."""


PASSED_OVER = frozenset({Standing.COOLING, Standing.FULL, Standing.DRAINED})


@dataclass(frozen=True, slots=True)
class Option:
    """A route that honours the request, and how its pool stands. `ready_at_ms`: when a cooling one may be asked."""

    route: Route
    standing: Standing = Standing.WELL
    in_flight: int = 0
    room: int | None = None
    """Requests at once that the lane may have there; None for no limit."""
    ready_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One route in its place. `place`: where it is in the order, None when it is passed over."""

    route: Route
    standing: Standing
    score: float
    place: int | None
    ready_at_ms: int = 0


def ordered(options: Iterable[Option], key: str) -> list[Choice]:
    """Return every option, those to be tried in their order first. `key`: what sticks, or a random seed."""
    rated = [(_standing(option), _score(option.route, key), option) for option in options]
    rated.sort(
        key=lambda entry: (
            entry[0] in PASSED_OVER,
            entry[0] is Standing.DOUBTED,
            entry[2].route.priority,
            entry[1],
            entry[2].route.pool,
            entry[2].route.model,
        )
    )
    return [
        Choice(option.route, standing, score, None if standing in PASSED_OVER else place, option.ready_at_ms)
        for place, (standing, score, option) in enumerate(rated)
    ]


def ready_in_ms(choices: Sequence[Choice], now_ms: int) -> int | None:
    """Return after how long the first of the routes passed over may be asked; None when nobody knows."""
    waits = [
        0 if choice.standing is Standing.FULL else max(0, choice.ready_at_ms - now_ms)
        for choice in choices
        if choice.place is None and choice.standing is not Standing.DRAINED
    ]
    return min(waits, default=None)


def sticky_key(account_id: str, hint: str) -> str:
    """Return what keeps a conversation of an account on its route; accounts never share one."""
    return f"{account_id}\n{hint}"


def _standing(option: Option) -> Standing:
    full = option.room is not None and option.in_flight >= option.room
    return Standing.FULL if full and option.standing not in PASSED_OVER else option.standing


def _score(route: Route, key: str) -> float:
    """Return the rendezvous score: exponential with the rate `weight`, so that the least wins in proportion."""
    digest = hashlib.blake2b(f"{key}\n{route.pool}\n{route.model}".encode("utf-8", "replace"), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -math.log(uniform) / route.weight

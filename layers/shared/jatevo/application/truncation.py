"""
Histories cut to fit a model's context: what `truncation: "auto"` asks for.

Whole items are left out, the oldest first, until the rest is estimated to fit with room for the answer; the last item
stays whatever it comes to. An output goes with its call. What is stored is the whole history all the same.
"""

from collections.abc import Callable

from jatevo.application.exchange import InferenceRequest
from jatevo.application.responses import Item, Resolved
from jatevo.domain.catalogue import Model
from jatevo.domain.projection import Ask, measured_tokens


def fits(model: Model, request: InferenceRequest) -> bool:
    """Return whether a request is estimated to fit its model's context, its answer included."""
    wanted = model.default_output_tokens if request.output_cap is None else request.output_cap
    room = model.context_window - min(wanted, model.max_output_tokens)
    return measured_tokens(model, Ask(size=request.size)) <= room


def cut_to_fit(resolved: Resolved, fitting: Callable[[Resolved], bool]) -> Resolved:
    """Return a turn without as few of its oldest items as make it fit; with the last one alone should none do."""
    low, high = 0, max(0, len(resolved.prior) + len(resolved.own) - 1)
    while low < high:
        middle = (low + high) // 2
        if fitting(without_oldest(resolved, middle)):
            high = middle
        else:
            low = middle + 1
    return without_oldest(resolved, low)


def without_oldest(resolved: Resolved, count: int) -> Resolved:
    """Return a turn without its `count` oldest items, and without outputs whose calls are among them."""
    prior, own = resolved.prior[count:], resolved.own[max(0, count - len(resolved.prior)) :]
    dropped = (*resolved.prior, *resolved.own)[:count]
    calls = {item["call_id"] for item in dropped if "call_id" in item}

    def kept(items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(item for item in items if item.get("call_id") not in calls)

    return Resolved(kept(prior), kept(own)) if calls else Resolved(prior, own)
